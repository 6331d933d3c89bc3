"""Conversations as trees of tokens, without a model."""
