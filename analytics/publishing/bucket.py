"""The channel `bucket`: each revision of each week under a key of its own, so that nothing is ever written over.

{node}/{week}/r{revision}/report.html, .md and .json
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Final

from voxledger.analytics.publishing.channel import Parcel
from voxledger.analytics.publishing.errors import ChannelAway, ChannelRefused
from voxledger.analytics.report import Links, WeeklyReport, load_audio, render_html, render_json, render_markdown
from voxledger.catalog.errors import StoreError
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.client import is_transient

_KINDS = {"json": "application/json", "md": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8"}


def key(node: str, week: str, revision: int, kind: str) -> str:
    """Where a revision lies: `…/2026-W47/r1/report.html`."""
    return f"{node}/{week}/r{revision}/report.{kind}"


class Bucket:
    """Puts reports into a bucket of the store."""

    name: Final = "bucket"
    repeatable: Final = True

    def __init__(self, store: Callable[[], Store], bucket: str, links: Callable[[WeeklyReport], Links]) -> None:
        self._store = store
        self._links = links
        self._bucket = bucket

    @property
    def target(self) -> str:
        """The bucket."""
        return self._bucket

    def send(self, parcel: Parcel, decisive: Callable[[], None], stop: threading.Event) -> str:  # noqa: ARG002  # twice is as good as once
        """Put the three files, the page last. Raises ChannelAway and ChannelRefused."""
        report = parcel.report
        contents = {
            "json": render_json(report).encode(),
            "md": render_markdown(report).encode(),
            "html": render_html(report, load_audio(report), self._links(report)).encode(),
        }
        keys = {kind: key(parcel.node, parcel.week, parcel.revision, kind) for kind in contents}
        try:
            store = self._store()
            for kind, content in contents.items():
                md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
                store.put(self._bucket, keys[kind], content, content_type=_KINDS[kind], md5=md5)
            store.settle(self._bucket, *keys.values())
        except StoreError as error:
            kind_of = ChannelAway if is_transient(error) else ChannelRefused
            raise kind_of(str(error), failure=error.code or type(error).__name__) from error
        return ""
