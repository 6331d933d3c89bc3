"""The model that is trained, and what makes it fast."""
