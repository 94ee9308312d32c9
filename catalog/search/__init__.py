"""Search: words in texts, names and tags."""
