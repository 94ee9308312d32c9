"""Applying: carrying a plan out, step by step: marks, purges, and taking both back."""
