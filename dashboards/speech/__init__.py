"""Speech as OpenAI's clients ask for it."""
