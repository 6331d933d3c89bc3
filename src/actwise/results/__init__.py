"""What was found, as numbers; needs no torch."""
