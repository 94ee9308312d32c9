"""Kept: dear answers, renewed by few threads, and none of them of what was erased."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn, cast

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

import voxledger
from tests.dashboards.pages.seeded import copied
from tests.node import PATIENCE
from voxledger.catalog.retention import Plan
from voxledger.dashboards.api.answering import limited
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.gone import Gone
from voxledger.dashboards.pages.cell import cell
from voxledger.dashboards.pages.chart import as_csv
from voxledger.dashboards.pages.kept import Kept, Renewals
from voxledger.dashboards.pages.library.downloads import EACH, Downloads
from voxledger.dashboards.plans import MOST, TRIED, Plans
from voxledger.dashboards.server.callers import Caller
from voxledger.dashboards.server.site import Site


class _Answer:
    """Something of which one can tell whether it is still held."""


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_what_waits_to_be_renewed_is_bounded_and_the_old_answer_serves_meanwhile() -> None:
    now, go, asked = [0.0], threading.Event(), list[str]()
    renewals = Renewals(threads=2, most=3)
    kept: Kept[str] = Kept(5.0, renewals=renewals, clock=lambda: now[0])
    keys = [f"key {number}" for number in range(20)]
    for key in keys:
        kept.get(key, lambda: "old")
    now[0] = 10.0

    def renew(key: str) -> str:
        asked.append(key)
        assert go.wait(PATIENCE)
        return "new"

    before = threading.active_count()
    assert [kept.get(key, lambda key=key: renew(key)) for key in keys] == ["old"] * len(keys)  # type: ignore[misc]
    assert threading.active_count() - before <= 2
    go.set()
    _until(lambda: kept.get(keys[0], lambda: "late") == "new")
    _until(lambda: threading.active_count() == before)
    assert 3 <= len(asked) <= 5
    assert kept.known("unknown", lambda: "found") is None
    _until(lambda: kept.known("unknown", lambda: "found") == "found")


def test_who_needs_an_answer_does_not_wait_for_those_that_are_renewed() -> None:
    go, renewals = threading.Event(), Renewals(threads=1, most=3)
    kept: Kept[int] = Kept(5.0, renewals=renewals)
    assert renewals.add(lambda: go.wait(PATIENCE) and None)
    assert kept.known("a", lambda: 1) is None
    assert kept.get("a", lambda: 2) == 2
    go.set()


def test_what_is_too_old_or_too_much_is_not_held() -> None:
    now = [0.0]
    kept: Kept[_Answer] = Kept(5.0, oldest=100.0, clock=lambda: now[0])
    held = weakref.ref(kept.get("a", _Answer))
    now[0] = 101.0
    kept.get("b", _Answer)
    gc.collect()
    assert held() is None
    few: Kept[_Answer] = Kept(5.0, most=2)
    first = weakref.ref(few.get(1, _Answer))
    few.get(2, _Answer)
    few.get(3, _Answer)
    gc.collect()
    assert first() is None


def test_what_was_asked_before_all_was_forgotten_is_kept_for_nobody() -> None:
    begun, go, kept = threading.Event(), threading.Event(), Kept[str](1000.0)

    def ask() -> str:
        begun.set()
        assert go.wait(PATIENCE)
        return "before"

    asking = threading.Thread(target=lambda: kept.get("a", ask))
    asking.start()
    assert begun.wait(PATIENCE)
    kept.clear()
    go.set()
    asking.join(PATIENCE)
    assert kept.get("a", lambda: "after") == "after"


def test_nothing_is_kept_of_who_was_erased(seeded_home: Path, tmp_path: Path) -> None:
    with voxledger.open(copied(seeded_home, tmp_path / "home"), store_close_wait=0) as vox:
        kept: Kept[list[str]] = Kept(1e6, gone=Gone(vox).place)

        def names() -> list[str]:
            with vox.keeper.reading(fresh=False) as reading:
                return [name for (name,) in reading.tuples("SELECT DISTINCT actor FROM clips") if name]

        assert "mallory" in kept.get("", names)
        vox.erasure.apply(vox.erasure.plan(actor="mallory"))
        vox.keeper.drain()
        _until(lambda: "mallory" not in kept.get("", names))


def test_tried_plans_make_no_other_wait_and_push_none_out(seeded_home: Path, tmp_path: Path) -> None:
    with voxledger.open(copied(seeded_home, tmp_path / "home"), store_close_wait=0) as vox:
        plans, begun, go = Plans(), threading.Event(), threading.Event()
        plan = vox.retention.plan()

        def slow() -> Plan:
            begun.set()
            assert go.wait(PATIENCE)
            return plan

        trying = threading.Thread(target=lambda: plans.tried(slow))
        trying.start()
        assert begun.wait(PATIENCE)
        real = plans.make(vox.retention, every=False, as_of=None, head=vox.journal.head())
        go.set()
        trying.join(PATIENCE)
        tried = [plans.tried(lambda: plan) for _ in range(MOST + 1)]
        assert plans.view(real.name) is real
        assert plans.newest() is real
        assert [view for view in tried if view and _is_kept(plans, view.name)] == tried[-TRIED:]
        with vox.keeper.reading() as reading, pytest.raises(Refused) as refused, limited(reading, 0.2):
            reading.rows("SELECT sum(range) FROM range(1_000_000_000_000)")
        assert refused.value.code == "too_long"


def _is_kept(plans: Plans, name: str) -> bool:
    try:
        plans.view(name)
    except Refused:
        return False
    return True


def test_downloads_of_one_principal_are_counted(tmp_path: Path) -> None:
    with voxledger.open(tmp_path / "home") as vox:
        downloads = Downloads(Site(vox, version="1", loopback=True))

        def begun(principal: str) -> Response:
            caller = SimpleNamespace(principal=SimpleNamespace(id=principal))
            return downloads.begun(cast(Request, None), cast(Caller, caller), list)

        sending = [begun("a") for _ in range(EACH)]
        with pytest.raises(Refused) as refused:
            begun("a")
        assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "30"})
        begun("b")

        async def gone(*_: object) -> NoReturn:
            raise ConnectionResetError

        with pytest.raises(ClientDisconnect):
            asyncio.run(sending[0]({"type": "http", "asgi": {"spec_version": "2.4"}}, gone, gone))
        begun("a")


@pytest.mark.parametrize("text", ["=1+1", " =1+1", "\n=1", "\t1", "\u200b@x", "+1", "-1", "＝1", "\r"])
def test_no_name_in_a_table_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert as_csv(["name", "clips"], [{"name": text, "clips": -3}]).decode().splitlines()[1].lstrip('"').startswith("'")
    assert as_csv(["clips"], [{"clips": -3}]) == b"clips\r\n-3\r\n"
    assert cell(f"a{text}") == f"a{text}"
