"""Counted: what a running node counts, read from its `/metrics` by whoever owns its HOME."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import requests

from voxledger.catalog.log import link

if TYPE_CHECKING:
    from voxledger.catalog.home import Home

_PATIENCE = 3.0
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Counted:
    """All series of one moment."""

    def __init__(self, text: str) -> None:
        """`text` is Prometheus' own format."""
        self._series: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for name, labels, value in _SAMPLE.findall(text):
            self._series.setdefault(name, []).append((dict(_LABEL.findall(labels)), float(value)))

    def sum(self, name: str, **labels: str) -> float:
        """The sum of a name's series that have these labels; 0 where there is none."""
        return sum(value for found, value in self._series.get(name, ()) if labels.items() <= found.items())

    def by(self, name: str, label: str) -> Iterator[tuple[str, float]]:
        """Each series of a name by the value of one label."""
        return ((found[label], value) for found, value in self._series.get(name, ()))


class Node:
    """The node that serves a HOME, as far as one does. Keeps one connection."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._session = requests.Session()
        self._session.trust_env = False  # it is on this machine: no proxy, no .netrc
        self.url = ""
        """Where it answers; "" while none does, or it has no HTTP API."""
        self.serves = False

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def counted(self) -> Counted | None:
        """What it has counted by now; None when nobody serves, or it does not answer."""
        found = link.found(self._home)
        self.serves, self.url = found is not None, found.url if found else ""
        if found is None or not found.url:
            return None
        try:
            answer = self._session.get(
                f"{found.url}/metrics", headers={"Authorization": f"Bearer {found.secret}"}, timeout=_PATIENCE
            )
        except requests.RequestException:
            return None
        return Counted(answer.text) if answer.ok else None
