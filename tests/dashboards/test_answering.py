"""Questions on behalf of callers: they end in time, and only their own answers are kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import voxledger
from voxledger.catalog.access import Principal
from voxledger.dashboards.api import answering
from voxledger.dashboards.api.drawn import Drawn
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.server.callers import Caller
from voxledger.dashboards.server.site import Site

_ENDLESS = "SELECT count(*) FROM range(1000000000) AS a(i), range(1000) AS b(j) WHERE (i * j) % 7 = 3"


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    with voxledger.open(tmp_path / "home") as vox:
        site = Site(vox, version="1", loopback=True)
        principal = Principal(id="3f9c2e10aa51", name="ann", role="viewer")
        with vox.keeper.serving():  # as a node has it
            yield Caller(principal=principal, ledger=site.ledger(principal), site=site)


def test_a_question_that_takes_too_long_is_broken_off(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "LONGEST", 0.3)
    began = time.monotonic()
    with pytest.raises(Refused) as refused, answering.asked(caller) as reading:
        reading.rows(_ENDLESS)
    assert refused.value.code == "too_long"
    assert time.monotonic() - began < 30
    with answering.asked(caller) as reading:
        assert answering.position(reading) >= 0  # and nobody else is


def test_what_is_computed_is_computed_once_and_only_the_last_ones_are_kept() -> None:
    drawn: Drawn[int] = Drawn(2)
    made = []

    def make(value: int) -> int:
        made.append(value)
        return value

    for value in (1, 1, 2, 1, 3, 1, 2):
        assert drawn.get(value, lambda value=value: make(value)) == value  # type: ignore[misc]  # mypy sees no default
    assert made == [1, 2, 3, 2]


def test_what_could_not_be_computed_is_tried_again() -> None:
    drawn: Drawn[int] = Drawn(2)
    with pytest.raises(ZeroDivisionError):
        drawn.get("x", lambda: 1 // 0)
    assert drawn.get("x", lambda: 1) == 1
