"""The tests. A package, because some distributions install a top-level `tests` that would hide a mere folder."""
