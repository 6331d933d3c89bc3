"""A model behind OpenAI's chat completions: scheduler, protocol, application, page."""
