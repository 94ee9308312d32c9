"""What is drawn of clips: made once, kept, and never waited for by more requests than there is room for."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest

from tests.node import PATIENCE
from voxledger.dashboards.api.drawn import Decoding, Drawn
from voxledger.dashboards.faults import Refused


def test_whoever_finds_no_room_to_wait_comes_back_later_and_what_is_kept_is_given() -> None:
    drawn: Drawn[str] = Drawn(10, Decoding(at_once=1, waiting=2))
    go_on, times = threading.Event(), list[int]()

    def slow() -> str:
        times.append(1)
        assert go_on.wait(PATIENCE)
        return "slow"

    assert drawn.get("kept", lambda: "kept") == "kept"
    with ThreadPoolExecutor(4) as threads:
        try:
            waiting = [threads.submit(drawn.get, key, slow) for key in ("a", "a", "a", "a")]
            ended, still = wait(waiting, PATIENCE, return_when=FIRST_COMPLETED)
            refused = ended.pop().exception()
            assert drawn.get("kept", lambda: "made again") == "kept"
        finally:
            go_on.set()
        assert isinstance(refused, Refused)
        assert (refused.status, refused.code, refused.headers) == (503, "busy", {"Retry-After": "2"})
        assert [each.result(PATIENCE) for each in still] == ["slow"] * 3
    assert len(times) == 1
    assert drawn.get("b", lambda: "there is room again") == "there is room again"


def _unmade() -> str:
    raise ZeroDivisionError


def test_what_could_not_be_made_is_made_anew() -> None:
    drawn: Drawn[str] = Drawn(2, Decoding())
    with pytest.raises(ZeroDivisionError):
        drawn.get("a", _unmade)
    assert drawn.get("a", lambda: "made") == "made"
    for key in "bcd":
        drawn.get(key, lambda: "made")
    assert drawn.get("a", lambda: "again") == "again"
