"""The circuit: one probe at a time while nobody answers."""

from __future__ import annotations

from voxledger.catalog.objects.uploads.circuit import LONGEST, Circuit, backoff


def test_failures_that_went_out_together_count_once() -> None:
    circuit = Circuit()
    rounds = [circuit.begin() for _ in range(4)]
    for belongs in rounds:
        circuit.failed(belongs, 100.0, "nobody answers")
    assert circuit.failures == 1
    assert 0 < circuit.wait(100.0) <= 1.0


def test_only_one_probe_is_out_at_a_time() -> None:
    circuit = Circuit()
    circuit.failed(circuit.begin(), 100.0, "nobody answers")
    assert circuit.wait(102.0) == 0
    probe = circuit.begin()
    assert circuit.wait(102.0) == float("inf")
    circuit.failed(probe, 102.0, "nobody answers")
    assert 0 < circuit.wait(102.0) <= 2.0


def test_an_answer_closes_it() -> None:
    circuit = Circuit()
    circuit.failed(circuit.begin(), 100.0, "nobody answers")
    circuit.begin()
    circuit.answered()
    assert circuit.trouble is None
    assert circuit.wait(100.0) == 0


def test_probe_that_asked_nobody_makes_room_for_another() -> None:
    circuit = Circuit()
    circuit.failed(circuit.begin(), 100.0, "nobody answers")
    circuit.skipped(circuit.begin())
    assert circuit.wait(102.0) == 0


def test_backoff_doubles_up_to_its_limit_with_full_jitter() -> None:
    for attempt in (1, 2, 5, 9, 10, 10_000):
        limit = min(LONGEST, 2.0 ** min(attempt - 1, 20))
        drawn = [backoff(attempt) for _ in range(300)]
        assert all(0 < wait <= limit for wait in drawn)
        assert min(drawn) < 0.05 + 0.2 * limit
        assert max(drawn) > 0.8 * limit
