"""Products, layers and memory: what computes faster than as the model has it."""
