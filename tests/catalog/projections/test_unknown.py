"""What cannot be folded is written down, and what was erased is gone."""

from __future__ import annotations

from tests.building import completed
from tests.catalog.projections.folded import Folded, History
from voxledger.catalog import projections
from voxledger.catalog.events import (
    ClipPinned,
    ClipTagged,
    ClipUnpinned,
    HoldPlaced,
    SubjectErased,
    is_understood,
    new_id,
)


def _erased(target: str, *, key_destroyed: bool = True) -> SubjectErased:
    return SubjectErased(
        request="e", scope="actor", target=target, clips=1, voices=0, objects=1, bytes=1, reports=0, key_destroyed=key_destroyed,
        outcomes={},
    )  # fmt: skip


def _lived(**options: tuple[str, ...]) -> tuple[History, str, str]:
    """Two clips of ann and bob, on which both left words."""
    history, mine, others = History(**options), new_id(), new_id()
    history.add(completed(actor_label="Ann", tags=("mine",)), mine)
    history.add(completed(actor_label="Bob", tags=("his",)), others, actor="bob")
    history.add(ClipTagged(tag="secret"), others)
    history.add(ClipTagged(tag="from bob"), mine, actor="bob")
    history.add(ClipPinned(reason="ann's reason"), others)
    history.add(HoldPlaced(hold="h", kind="ordinary", until=None, review=None, reason="ann's hold"), others)
    history.add(ClipUnpinned(), others, actor="bob")
    history.add(ClipPinned(reason="ann again"), others)
    return history, mine, others


def test_events_that_the_code_does_not_understand_are_counted() -> None:
    history = History()
    history.raw("MoonRisen", "moon", "{}")
    history.raw("ClipRated", new_id(), '{"stars": 5}', version=99)
    history.raw("ClipRated", "no uuid", '{"rating": 5}')
    folded = Folded(history)
    found = [tuple(row.values()) for row in folded.rows("FROM unknown ORDER BY position")]
    assert found == [
        (1, "MoonRisen", 1, "not understood"),
        (2, "ClipRated", 99, "not understood"),
        (3, "ClipRated", 1, "no clip"),
    ]
    assert folded.rows("FROM ratings") == []
    assert not projections.awaits_rebuild(folded.connection, is_understood)
    assert projections.awaits_rebuild(folded.connection, lambda kind, version: kind == "MoonRisen")


def test_a_batch_without_anything_strange_awaits_nothing() -> None:
    folded = Folded(_lived()[0])
    assert folded.rows("FROM unknown") == []
    assert not projections.awaits_rebuild(folded.connection, lambda kind, version: True)


def test_words_of_an_erased_actor_are_gone_and_a_rebuild_is_due() -> None:
    history, mine, others = _lived()
    history.add(_erased("ann"), "e")
    folded = Folded(history, sizes=(3,))
    assert projections.awaits_rebuild(folded.connection, is_understood)
    row = folded.clip(mine)
    assert [row[name] for name in ("actor", "session", "name", "text", "key", "path")] == [None] * 6
    assert (row["duration_us"], row["actor_id"]) == (1_500_000, "ann")
    assert folded.clip(others)["pin_reason"] is None
    assert folded.clip(others)["actor"] == "Bob"
    assert folded.row("SELECT actor FROM generations WHERE position = 1") == {"actor": None}
    assert folded.row("SELECT reason FROM holds") == {"reason": None}
    for position in range(1, 10):
        folded.as_of(position)
        said = "".join(map(str, folded.everything().values()))
        assert not [word for word in ("secret", "mine", "ann's", "Ann") if word in said]


def test_a_rebuild_without_the_key_holds_no_words_at_any_moment_and_is_enough() -> None:
    history, mine, others = _lived(erased=("ann",))
    history.add(_erased("ann"), "e")
    folded = Folded(history, sizes=(4,))
    assert not projections.awaits_rebuild(folded.connection, is_understood)
    assert (folded.clip(mine)["tags"], folded.clip(others)["tags"]) == (["from bob"], ["his"])
    for position in range(1, 10):
        folded.as_of(position)
        said = "".join(map(str, folded.everything().values()))
        assert not [word for word in ("secret", "mine", "ann's", "Ann") if word in said]


def test_an_erasure_without_its_key_destroyed_leaves_the_tables_alone() -> None:
    history, mine, _ = _lived()
    history.add(_erased("ann", key_destroyed=False), "e")
    folded = Folded(history)
    assert folded.clip(mine)["actor"] == "Ann"
    assert not projections.awaits_rebuild(folded.connection, is_understood)
