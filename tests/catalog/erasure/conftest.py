"""A HOME in which two people have really spoken, on a real store, and a search for words through everything that is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.s3 import S3Server
from voxledger.catalog.events import ClipPinned, ClipTagged, Fact, HoldPlaced, HoldReleased, new_id
from voxledger.catalog.log import sealing
from voxledger.catalog.objects import Store
from voxledger.ledger import Ledger

GONE = "Quillfeather"
KEPT = "Brandywine"
GONE_WORDS = (
    GONE, "Zanzibar marmalade", "harpsichordia", "pumpernickel", "gooseberrytag", "Vellichor", "kumquatreason", "Größenwahn",
)  # fmt: skip
KEPT_WORDS = (KEPT, "Octopus gramophone", "calliopesession", "ratatouillename", "bramblytag")


class World:
    """One HOME; `open` opens it as somebody, the server and its buckets in the settings."""

    def __init__(self, path: Path, server: S3Server | None, bucket: str) -> None:
        """Without a server it is the embedded store, whose objects are files of HOME."""
        self.path, self.server, self.bucket = path, server, bucket
        self.settings: dict[str, Any] = {}
        if server is not None:
            self.settings = {
                "store_endpoint": server.url, "store_access_key": server.access_key, "store_secret_key": server.secret_key,
                **{f"store_{name}": f"{bucket}-{name}" for name in ("audio", "events", "voices", "backup")},
            }  # fmt: skip

    @property
    def buckets(self) -> list[str]:
        return [f"{self.bucket}-{name}" for name in ("audio", "events", "voices", "backup")]

    @property
    def environ(self) -> dict[str, str]:
        """The same settings for a process of its own."""
        found = {f"VOXLEDGER_{name.upper()}": value for name, value in self.settings.items()}
        return {**found, "VOXLEDGER_GENERAL_ACTOR": "administratrix"}

    @contextmanager
    def open(self, actor: str = "administratrix", path: Path | None = None) -> Iterator[Ledger]:
        with Ledger(path or self.path, overrides={**self.settings, "general_actor": actor}) as vox:
            yield vox

    def live(self, *, fully: bool = True) -> dict[str, list[str]]:
        """Two people speak, tag and pin; gives their clips. `fully`: they register voices, too, and are found and reported."""
        made: dict[str, list[str]] = {}
        with self.open() as vox:
            for who, words, session, name, tag in (
                (GONE, "Zanzibar marmalade", "harpsichordia", "pumpernickel", "gooseberrytag"),
                (KEPT, "Octopus gramophone", "calliopesession", "ratatouillename", "bramblytag"),
            ):
                clips = [
                    vox.speak(f"{words} number {number}. Größenwahn." if who == GONE else f"{words} {number}.",
                              actor=who, session=session, name=name, engine="espeak", language="en", tags=[tag])
                    for number in range(3)
                ]  # fmt: skip
                made[who] = [clip.id for clip in clips]
                self._says(vox, who, ClipPinned(reason="kumquatreason" if who == GONE else "a fine one"), clips[0].id)
                if fully:
                    self._add_voice(vox.acting(who, "python"), who, clips[1].path)
            assert not vox.uploader.flush(timeout=60)
            if fully:  # each has a word about the other's
                self._says(vox, KEPT, ClipTagged(tag="bramblytag"), made[GONE][0])
                self._says(vox, GONE, ClipTagged(tag="gooseberrytag"), made[KEPT][0])
                vox.search.advance()
                vox.acting(GONE, "python").reports.publish()
        return made

    def _says(self, vox: Ledger, who: str, fact: Fact, clip: str) -> None:
        """What `catalog.pin` and `catalog.tag` record: they ask the catalog before and after, and that takes a drain each."""
        vox.recorder.emit(fact, subject=clip, actor=vox.vault.actor(who))

    def _add_voice(self, vox: Ledger, who: str, recording: Path | None) -> None:
        consent = self.path.parent / f"{who}.pdf"
        consent.write_bytes(f"{who} agrees".encode())
        assert recording
        vox.voices.add("Vellichor" if who == GONE else "Bobvoice", recording, consent=consent, force=True)

    def back_up(self, **more: Any) -> None:
        with self.open() as vox:
            assert not vox.uploader.flush(timeout=60)
            vox.backups.create(with_audio=True, **more)
            assert not vox.uploader.flush(timeout=60)

    def erase(self, actor: str = GONE) -> Any:
        with self.open() as vox:
            done = vox.erasure.apply(vox.erasure.plan(actor=actor), reason="they asked")
            assert not vox.uploader.flush(timeout=60)
            return done

    def hold(self, clip: str, hold: str = "case-1") -> None:
        with self.open() as vox:
            fact = HoldPlaced(hold=hold, kind="legal", until=None, review=None, reason="a case")
            vox.recorder.emit(fact, subject=clip, actor=vox.vault.actor(vox.actor))

    def release(self, clip: str, hold: str = "case-1") -> None:
        with self.open() as vox:
            fact = HoldReleased(hold=hold, kind="legal", reason=None)
            vox.recorder.emit(fact, subject=clip, actor=vox.vault.actor(vox.actor))

    @contextmanager
    def store(self) -> Iterator[Store]:
        with self.open() as vox:
            yield vox.store

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Every file of HOME and every version of every object: its name, and its bytes, unpacked where they are packed."""
        for path in self.path.rglob("*"):
            name = str(path.relative_to(self.path))
            yield name, _unpacked(path.read_bytes()) if path.is_file() else b""
        if self.server is None:
            return
        with self.store() as store:
            for bucket in self.buckets:
                if not self.server.keeps_metadata:  # rclone, which knows no versions
                    yield from (
                        (f"{bucket}/{info.key}", _unpacked(store.get(bucket, info.key))) for info in store.list(bucket)
                    )
                    continue
                listed = store.request("LIST", lambda s3: s3.list_object_versions(Bucket=bucket))  # noqa: B023
                assert not listed.get("IsTruncated")
                for found in listed.get("Versions", []):
                    key, version = found["Key"], found.get("VersionId")
                    more = {"VersionId": version} if version and version != "null" else {}
                    content = store.request(
                        "GET",
                        lambda s3: s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read(),  # noqa: B023
                    )
                    yield f"{bucket}/{key}", _unpacked(content)
                for found in listed.get("DeleteMarkers", []):
                    yield f"{bucket}/{found['Key']}", b""

    def found(self, words: tuple[str, ...]) -> dict[str, list[str]]:
        """Where words stand: in UTF-8, as JSON escapes them, in two bytes each; also in names, with a blank as an underscore."""
        hits: dict[str, list[str]] = {}
        for name, content in self.everything():
            for word in words:
                forms = {
                    word.encode(),
                    json.dumps(word)[1:-1].encode(),
                    word.encode("utf-16-le"),
                    word.casefold().encode(),
                }
                plain = word.replace(" ", "_")
                if any(form in content for form in forms) or word in name or plain in name:
                    hits.setdefault(word, []).append(name)
        return hits


def _unpacked(content: bytes) -> bytes:
    """What is packed by zstd, on its own or as a piece of a backup."""
    for start in (0, 6):
        try:
            found = zstandard.ZstdDecompressor().decompressobj().decompress(content[start:])
        except zstandard.ZstdError:
            continue
        return content + found
    return content


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of ten events, so that some are sealed."""
    monkeypatch.setattr(sealing, "SEAL", 10)


@pytest.fixture
def world(rclone_store: S3Server, tmp_path: Path, bucket: str) -> World:
    """On rclone."""
    return World(tmp_path / "home", rclone_store, bucket)


@pytest.fixture
def small_world(tmp_path: Path) -> Iterator[World]:
    """With the embedded store."""
    made = World(tmp_path / "home", None, "")
    yield made
    with made.open() as vox:
        assert vox.store.embedded
        vox.store.embedded.stop()


@pytest.fixture
def ceph_world(ceph_store: S3Server, tmp_path: Path, bucket: str) -> World:
    """On Ceph, all buckets with versions."""
    made = World(tmp_path / "home", ceph_store, bucket)
    with made.store() as store:
        for name in made.buckets:
            store.ensure_bucket(name)
            store.request(
                "VERSIONING",
                lambda s3: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"}),  # noqa: B023
            )
    return made


__all__ = ["new_id"]
