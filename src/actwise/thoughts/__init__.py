"""Thoughts as text: the kinds of their sentences, and what can be put into them."""
