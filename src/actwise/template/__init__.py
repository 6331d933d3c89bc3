"""Messages to tokens and back: the chat template, exact rendering, lenient parsing."""
