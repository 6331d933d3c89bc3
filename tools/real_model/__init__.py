"""What runs of a pretrained model on people's logs have measured, as a page."""
