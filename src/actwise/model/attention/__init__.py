"""Attention over a forest, in any model of transformers."""
