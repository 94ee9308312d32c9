"""Segments and heads of the chain go to the store, and a lost log comes back from there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import voxledger
from tests.building import completed
from tests.s3 import S3Server
from voxledger.catalog import LogCorrupt
from voxledger.catalog.events import new_id
from voxledger.catalog.log import Head, sealing
from voxledger.catalog.log.verify import verify
from voxledger.catalog.objects.shipping import published
from voxledger.ledger import Ledger


@pytest.fixture
def open_ledger(s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setattr(sealing, "SEAL", 10)
    found = s3.settings()
    with voxledger.open(
        tmp_path / "home",
        store_endpoint=found.endpoint,
        store_access_key=found.access_key,
        store_secret_key=found.secret_key,
        store_events=bucket,
        general_actor="ann",
    ) as vox:
        yield vox


def _speak(vox: Ledger, count: int) -> set[str]:
    clips = {new_id() for _ in range(count)}
    actor = vox.vault.actor("ann")
    for clip in clips:
        vox.recorder.emit(completed(), subject=clip, actor=actor)
    return clips


def _forget(vox: Ledger) -> None:
    """The log, its tables and the segments are gone; the journal holds only what was not sealed."""
    for file in (vox.home.log, vox.home.catalog, *vox.home.segments.iterdir()):
        file.unlink()


def test_a_lost_log_comes_back_from_the_store_and_the_journal(
    open_ledger: Ledger, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    vox = open_ledger
    clips = _speak(vox, 25)
    vox.keeper.drain()
    assert vox.journal.oldest() == 21
    assert vox.uploader.flush(timeout=60) == 0
    head = vox.keeper.head()
    _forget(vox)
    assert {str(row["id"]) for row in vox.catalog.sql("SELECT id FROM clips").rows()} == clips
    assert "came back from the store" in caplog.text
    verdict = verify(vox.keeper, published(vox.store, bucket, vox.journal.node))
    assert verdict.intact
    assert verdict.heads == 1
    assert verify(vox.keeper).position == head.position
    assert sorted(path.name for path in vox.home.segments.glob("*.zst")) == [
        "000000000001-000000000010.jsonl.zst",
        "000000000011-000000000020.jsonl.zst",
    ]


def test_heads_in_the_store_show_a_chain_made_anew(open_ledger: Ledger, bucket: str) -> None:
    vox = open_ledger
    _speak(vox, 10)
    head = vox.keeper.head()
    assert vox.uploader.flush(timeout=60) == 0
    (found,) = published(vox.store, bucket, vox.journal.node)
    assert (found.position, found.digest, found.node) == (10, head.digest, vox.journal.node)
    assert verify(vox.keeper, [found]).intact
    forged = msgspec.structs.replace(found, digest="00" * 32)
    assert [finding.kind for finding in verify(vox.keeper, [forged]).findings] == ["head"]


@pytest.mark.every_server
def test_a_head_is_published_once(open_ledger: Ledger, bucket: str) -> None:
    vox = open_ledger
    assert not vox.archive.publish(Head(position=0, digest="00" * 32)), "there is nothing to prove yet"
    _speak(vox, 3)
    head = vox.keeper.head()
    assert vox.archive.publish(head)
    assert not vox.archive.publish(head)
    assert vox.uploader.flush(timeout=60) == 0
    assert [found.position for found in published(vox.store, bucket, vox.journal.node)] == [3]


def test_what_the_store_holds_survives_the_loss_of_journal_log_and_segments(
    open_ledger: Ledger, s3: S3Server, bucket: str
) -> None:
    vox = open_ledger
    _speak(vox, 25)
    vox.keeper.drain()
    assert vox.uploader.flush(timeout=60) == 0
    home, found = vox.home, s3.settings()
    vox.close()
    for file in (home.log, home.catalog, *home.segments.iterdir(), *home.path.glob("journal.sqlite*")):
        file.unlink()
    with voxledger.open(
        home.path,
        store_endpoint=found.endpoint,
        store_access_key=found.access_key,
        store_secret_key=found.secret_key,
        store_events=bucket,
        general_actor="ann",
    ) as again:
        (clip,) = _speak(again, 1)
        rows = again.catalog.sql("SELECT position, id FROM clips ORDER BY position").rows()
        assert [row["position"] for row in rows] == [*range(1, 21), 26]
        assert str(rows[-1]["id"]) == clip
        assert verify(again.keeper).told == ((21, 25, "recreated"),)


def test_without_the_store_the_loss_is_named(open_ledger: Ledger, bucket: str) -> None:
    vox = open_ledger
    _speak(vox, 12)
    vox.keeper.drain()
    assert vox.uploader.flush(timeout=60) == 0
    for info in list(vox.store.list(bucket)):
        vox.store.delete(bucket, info.key)
    _forget(vox)
    with pytest.raises(LogCorrupt, match="position 1 is neither in the journal nor in a segment"):
        vox.keeper.drain()


def test_what_an_epoch_gave_elsewhere_after_it_had_ended_here_does_not_come_back(
    open_ledger: Ledger, bucket: str
) -> None:
    """The HOME that this one was restored from goes on under the old epoch, and ships what it records."""
    vox = open_ledger
    _speak(vox, 20)
    vox.keeper.drain()
    assert vox.uploader.flush(timeout=60) == 0
    (first, _) = sorted(info.key for info in vox.store.list(bucket) if info.key.endswith(".zst"))
    elsewhere = first.replace("000000000001-000000000010", "000000000021-000000000030")
    vox.store.put(bucket, elsewhere, vox.store.get(bucket, first))
    vox.journal.begin_epoch(24, "restored")
    assert not vox.archive.recover(25)
    assert vox.archive.recover(5)
