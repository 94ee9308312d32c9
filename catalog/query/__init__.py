"""Queries: what may be asked of the catalog, and how answers are paged."""
