"""Search: words in texts, names and tags."""

from voxledger.catalog.search.excerpt import Snippet
from voxledger.catalog.search.index import NAME, SearchIndex
from voxledger.catalog.search.pages import MOST, Found, Hit

__all__ = ["MOST", "NAME", "Found", "Hit", "SearchIndex", "Snippet"]
