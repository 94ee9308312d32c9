"""What was damaged in the bucket is never built upon, and lies there whole again after the next backup."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.catalog.backup.nodes import KEY, Node
from voxledger.catalog.backup import Created, Rules
from voxledger.catalog.backup.contents import Piece
from voxledger.catalog.objects import ObjectInfo, object_info, store

ONE = Rules(last=1, daily=0, weekly=0, monthly=0)


@pytest.fixture(params=[KEY, ""], ids=["encrypted", "plain"])
def full(rclone_node: Node, request: pytest.FixtureRequest) -> Node:
    """A node with a backup of everything."""
    rclone_node.use_key(request.param)
    rclone_node.speak(25)
    rclone_node.store_audio(2)
    _create(rclone_node)
    return rclone_node


def _create(node: Node) -> Created:
    with node.open() as vox:
        return vox.backups.create(with_audio=True)


def _flip(node: Node, *kinds: str) -> list[str]:
    """Flip a bit of everything of these kinds that lies in the bucket; gives the keys."""
    keys = []
    for key, content in node.objects().items():
        if key.startswith(kinds):
            node.change(key, content[:-1] + bytes([content[-1] ^ 1]))
            keys.append(key)
    return keys


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its first listing on, the store gives an object the same ETag whatever becomes of it: as one whose disk rots does."""
    read, first = object_info.from_listing, dict[str, str]()

    def from_listing(found: object) -> ObjectInfo:
        info = read(found)  # type: ignore[arg-type]  # as it comes
        return msgspec.structs.replace(info, etag=first.setdefault(info.key, info.etag))

    monkeypatch.setattr(store, "from_listing", from_listing)


def _intact(node: Node) -> list[bool]:
    with node.backups() as backups:
        return [checked.intact for checked in backups.verify()]


def test_what_the_listing_shows_to_be_altered_is_sent_again(full: Node, tmp_path: Path) -> None:
    damaged = _flip(full, "data/", "audio/")
    full.speak(3)
    done = _create(full)
    # The one piece of the journal and the listing of the audio have changed, so the new backup does not need the old ones.
    assert 0 < done.again <= len(damaged)
    assert _create(full).again == 0
    first, *others = _intact(full)
    assert (first, others) == (False, [True, True])
    with full.backups() as backups:
        backups.restore("latest", tmp_path / "new", catch_up=False)
    assert full.verified(tmp_path / "new").intact


def test_what_only_reading_shows_is_noted_and_sent_again(full: Node, hidden: None) -> None:
    assert _intact(full) == [True]
    with full.backups() as backups:
        manifest = backups.list()[0].manifest
    assert manifest is not None
    assert manifest.audio is not None
    # Where the listing of the audio is damaged too, nobody knows what else to read.
    listing = tuple(f"data/{piece.name[:2]}/{piece.name}" for piece in manifest.audio.listing.pieces)
    damaged = _flip(
        full, *(key for key in full.objects() if key.startswith(("data/", "audio/")) and key not in listing)
    )
    with full.backups() as backups:
        (checked,) = backups.verify()
        assert (checked.intact, checked.noted) == (False, True)
    assert {key.removeprefix("damaged/") for key in full.objects() if key.startswith("damaged/")} == set(damaged)
    done = _create(full)
    assert done.again > 0
    # What is left belongs to the first backup alone: this HOME has it no more.
    assert done.damaged == len({key for key in full.objects() if key.startswith("damaged/")}) > 0
    assert done.again + done.damaged == len(damaged)
    first, last = _intact(full)
    assert (first, last) == (False, True)
    with full.backups() as backups:
        backups.prune(rules=ONE, apply=True)
    assert not [key for key in full.objects() if key.startswith("damaged/")]
    assert _create(full).damaged == 0


def test_what_turns_out_to_be_whole_is_not_sent_again(full: Node) -> None:
    for key in full.objects():
        if key.startswith(("data/", "audio/")):
            full.change(f"damaged/{key}", b"")
    before = full.objects()
    done = _create(full)
    assert done.again == 0
    after = full.objects()
    assert {key: after[key] for key in before if key.startswith(("data/", "audio/"))} == {
        key: content for key, content in before.items() if key.startswith(("data/", "audio/"))
    }
    # Only what the new backup does not need is noted still: it was not looked at.
    assert len([key for key in after if key.startswith("damaged/")]) == done.damaged <= 2


def test_audio_that_nobody_has_whole_is_counted_and_stays_where_it_is(full: Node) -> None:
    """Neither the store nor the bucket of backups has it as it was: nothing is put over it, and the backup does not claim it."""
    encrypted = not any(key.startswith("audio/") for key in full.objects())
    with full.open() as vox:
        audio = vox.settings.store.audio
        for info in list(vox.store.list(audio)):
            vox.store.put(audio, info.key, b"x" * info.bytes)
    damaged = _flip(full, "data/" if encrypted else "audio/")
    before = full.objects()
    done = _create(full)
    assert done.manifest.audio is not None
    assert (done.lacking, done.manifest.audio.objects) == (2, 0)
    if not encrypted:
        assert {key: full.objects()[key] for key in damaged} == {key: before[key] for key in damaged}
    assert _intact(full)[-1]


def test_audio_that_was_altered_in_the_store_is_not_copied(rclone_node: Node) -> None:
    clips = rclone_node.store_audio(2)
    key, content = next(iter(clips.values()))
    with rclone_node.open() as vox:
        vox.store.put(vox.settings.store.audio, key, content[:-1] + bytes([content[-1] ^ 1]))
    done = _create(rclone_node)
    assert (done.lacking, done.manifest.audio and done.manifest.audio.objects) == (1, 1)
    assert _intact(rclone_node) == [True]


def test_a_backup_from_before_etags_were_noted_is_read_and_built_upon(
    full: Node,
) -> None:
    with full.backups() as backups:
        (listed,) = backups.bucket.listed()
        manifest, seal = backups.bucket.manifest(listed)
        files = tuple(
            msgspec.structs.replace(file, pieces=tuple(Piece(piece.name, piece.stored) for piece in file.pieces))
            for file in manifest.files
        )
        backups.bucket.store.delete(backups.bucket.name, listed.key)
        backups.bucket.put_manifest(msgspec.structs.replace(manifest, files=files), seal)
    assert msgspec.json.decode(b'["ab",3]', type=Piece) == Piece("ab", 3)
    damaged, whole = (f"data/{file.pieces[0].name[:2]}/{file.pieces[0].name}" for file in files if file.head)
    _flip(full, damaged)
    before = full.objects()
    done = _create(full)
    assert done.again == 1
    assert full.objects()[whole] == before[whole]
    assert _intact(full) == [True, True]
