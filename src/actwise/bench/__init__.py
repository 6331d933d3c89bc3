"""`actwise bench`: how fast sampling and updates are, beside peers and beside the machine."""
