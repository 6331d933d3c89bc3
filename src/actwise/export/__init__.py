"""A model as a folder that others can serve: weights, template, parsers, card."""
