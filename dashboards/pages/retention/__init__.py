"""Retention: how it stands, its policy, what it would do and has done, holds, and what it would have done in the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter

from voxledger.dashboards.pages.page import Entry, Page
from voxledger.dashboards.pages.retention import backtest, deeds, holds, plan, policy, returning
from voxledger.dashboards.pages.retention.frame import Frame
from voxledger.dashboards.pages.words import later

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

ENTRY = Entry(path="/retention", name=later("Retention"), icon="hourglass", key="r", permission="usage", place=60)


def router(site: Site, page: Page) -> APIRouter:  # noqa: ARG001  # every page's router takes it
    """`/retention` and what lies below it."""
    routes = page.routes()
    frame = Frame(page)
    for part in (plan, policy, holds, returning, backtest, deeds):
        part.add(routes, frame)
    return routes
