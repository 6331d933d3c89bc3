"""Programs for those who work on actwise; no part of the installed package."""
