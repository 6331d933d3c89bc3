"""Thoughts as text: derived from records, told apart by kinds of sentences, and added to."""
