"""Explaining: one clip's life in sentences, and what will become of it."""

from voxledger.catalog.retention.explaining.explain import Explanation, explain

__all__ = ["Explanation", "explain"]
