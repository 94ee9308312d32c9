"""The catalog API: one module a kind of thing."""
