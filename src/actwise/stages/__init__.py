"""The stages of a run: evaluate, sft, think, rl. They do not know each other."""
