"""What the doctor, preflight and audit have in common."""
