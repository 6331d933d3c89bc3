"""Builds the small model that is shipped."""
