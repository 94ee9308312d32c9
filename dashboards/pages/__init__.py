"""The web pages of a node: what was made, to be seen, heard and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from voxledger.dashboards.pages import (
    clip,
    library,
    nodes,
    overview,
    reports,
    retention,
    signing_in,
    sql,
    studio,
    tokens,
    usage,
)
from voxledger.dashboards.pages.page import Page

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

_PAGES = (overview, library, clip, studio, usage, sql, retention, nodes, reports, tokens)
"""The pages that there are. Each has `router(site, page)`, and `ENTRY` if it stands in the rail."""


def routers(site: Site) -> list[APIRouter]:
    """All pages, and what they are made of."""
    page = Page(site, [module.ENTRY for module in _PAGES if hasattr(module, "ENTRY")])
    site.told_as_page = page.told
    return [page.assets.router(), signing_in.router(site, page), *(module.router(site, page) for module in _PAGES)]
