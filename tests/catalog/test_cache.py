"""The local cache: what nobody has used for longest makes room, and only what the store is sure to have."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxledger
from tests.building import NOBODY, Parts
from tests.catalog.objects.uploading import Waiting, add_clip, events
from tests.s3 import S3Server, wait_for
from voxledger.catalog import cache as cache_module
from voxledger.catalog import cache_verifying
from voxledger.catalog.cache import Cache, Differing, Size, size_on_record
from voxledger.catalog.cache_files import survey
from voxledger.catalog.catalog import Catalog
from voxledger.catalog.errors import CatalogBusy
from voxledger.catalog.events import AudioAccessed, AudioAdopted, CacheEvicted, ObjectMissing, PurgeStarted, new_id
from voxledger.catalog.objects import Store, Uploader
from voxledger.catalog.retention.applying.watch import Watch
from voxledger.catalog.settings import Cache as CacheSettings
from voxledger.catalog.settings import Store as StoreSettings
from voxledger.cli import main

DAY = 86400.0
KB = 1000


class Cached:
    """A HOME on a real store, with clips whose copies were used so many days ago."""

    def __init__(self, parts: Parts, settings: StoreSettings, bucket: str) -> None:
        self.parts = parts
        self.bucket = bucket
        self.settings = settings
        self.store = Store(parts.home, settings)

    def add(self, *days: float, size: int = 10 * KB, upload: bool = True) -> list[Waiting]:
        """One clip for each, oldest use first if asked so."""
        added = [add_clip(self.parts, self.bucket, size=size) for _ in days]
        if upload:
            self.upload()
        for clip, ago in zip(added, days, strict=True):
            age(clip.path, ago)
        return added

    def upload(self) -> None:
        made = Uploader(self.parts.recorder, self.store, self.settings)
        assert made.flush(timeout=20) == 0
        made.close()

    def cache(self, limit: int = 0, keep: float = 0.0) -> Cache:
        return Cache(
            self.parts.home,
            CacheSettings(max_bytes=limit, keep=keep),
            self.parts.recorder,
            self.parts.keeper,
            self.store,
        )

    def catalog(self) -> Catalog:
        parts = self.parts
        return Catalog(parts.home, parts.recorder, parts.keeper, lambda: self.store, actor="ann", channel="python")

    def trimmed(self, to: int, **options: float) -> cache_module.Trimmed:
        done = self.cache(**options).trim(to=to)  # type: ignore[arg-type]
        assert done is not None
        return done


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def present(clips: list[Waiting]) -> list[bool]:
    return [clip.path.exists() for clip in clips]


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips are recorded as if a month ago: their making is their first use."""
    monkeypatch.setattr("voxledger.catalog.recorder.now", lambda: datetime.now(UTC) - timedelta(days=30))


@pytest.fixture
def cached(parts: Parts, s3: S3Server, bucket: str, old: None) -> Cached:
    return Cached(parts, s3.settings(), bucket)


@pytest.fixture
def on_rclone(parts: Parts, rclone_store: S3Server, bucket: str, old: None) -> Cached:
    return Cached(parts, rclone_store.settings(), bucket)


def test_the_least_recently_used_go_until_it_fits(cached: Cached) -> None:
    clips = cached.add(2, 9, 5, 1, 7)
    done = cached.trimmed(25 * KB)
    assert present(clips) == [True, False, False, True, False]
    assert (done.clips, done.bytes, done.left, done.files) == (3, 30 * KB, 20 * KB, 2)
    told = events(cached.parts, CacheEvicted)
    assert [event.subject for event in told] == [clips[1].clip, clips[4].clip, clips[2].clip]
    facts = msgspec.json.decode(told[0].data)
    assert facts["bytes"] == 10 * KB
    last_used = datetime.fromisoformat(facts["last_used"])
    assert abs((datetime.now(UTC) - last_used).total_seconds() - 9 * DAY) < 60
    assert set(facts) == {"bytes", "last_used", "reason"}, "the path is personal"
    assert facts["reason"] == "room"
    assert cached.parts.recorder.unsealed(told[0]) == {"path": clips[1].key}
    rows = cached.parts.rows("SELECT id::VARCHAR AS id, cached FROM clips")
    assert {row["id"] for row in rows if not row["cached"]} == {event.subject for event in told}
    assert cached.trimmed(25 * KB).clips == 0


def test_what_the_log_knows_of_a_use_counts_as_well_as_the_file(on_rclone: Cached) -> None:
    first, second = on_rclone.add(20, 10)
    at = datetime.now(UTC) - timedelta(days=1)
    on_rclone.parts.record(AudioAccessed(channel="cli", purpose="play"), first.clip, time=at)
    assert on_rclone.trimmed(10 * KB).clips == 1
    assert present([first, second]) == [True, False]


def test_nothing_goes_that_the_store_does_not_have_for_certain(cached: Cached) -> None:
    stored, lost, damaged, purging = cached.add(9, 9, 9, 9)
    [waiting] = cached.add(9, upload=False)
    cached.store.delete(cached.bucket, lost.key)
    cached.store.put(cached.bucket, damaged.key, b"other bytes")
    cached.parts.record(PurgeStarted(plan="p", rule="r", bucket=cached.bucket), purging.clip)
    done = cached.trimmed(0)
    assert present([stored, lost, damaged, purging, waiting]) == [False, True, True, True, True]
    assert done.kept == {"missing": 2, "purging": 1, "waiting": 1}
    told = {event.subject: msgspec.json.decode(event.data)["state"] for event in events(cached.parts, ObjectMissing)}
    assert told == {lost.clip: "absent", damaged.clip: "changed"}
    assert cached.trimmed(0).kept == {"missing": 2, "purging": 1, "waiting": 1}
    assert len(events(cached.parts, ObjectMissing)) == 2, "said once"


def test_an_object_of_the_right_size_is_not_enough(cached: Cached) -> None:
    same, other, copied = cached.add(9, 9, 9)
    cached.store.put(cached.bucket, same.key, same.content)
    cached.store.put(cached.bucket, other.key, bytes(len(other.content)))
    metadata = {"sha256": hashlib.sha256(copied.content).hexdigest()}
    cached.store.put(cached.bucket, copied.key, bytes(len(copied.content)), metadata=metadata)
    assert cached.trimmed(0).kept == {"unproved": 2}
    assert present([same, other, copied]) == [False, True, True]
    assert events(cached.parts, ObjectMissing) == [], "nothing is known to be lost"


def test_an_upload_that_is_under_way_again_keeps_the_copy(on_rclone: Cached) -> None:
    [clip] = on_rclone.add(9)
    with on_rclone.parts.journal.transaction() as write:
        write.add_task("upload", subject=clip.clip, actor=on_rclone.parts.vault.actor("ann").id, payload=b"")
    assert on_rclone.trimmed(0).kept == {"waiting": 1}
    assert clip.path.exists()


def test_a_store_that_is_away_keeps_everything(on_rclone: Cached) -> None:
    clips = on_rclone.add(9, 8)
    on_rclone.store = Store(on_rclone.parts.home, StoreSettings(endpoint=NOBODY))
    done = on_rclone.trimmed(0)
    assert present(clips) == [True, True]
    assert (done.clips, done.left) == (0, 20 * KB)
    assert "does not confirm" in str(done.trouble)


def test_nothing_goes_where_the_store_refuses_to_say_what_it_holds(
    parts: Parts, ceph_store: S3Server, bucket: str, old: None
) -> None:
    cached = Cached(parts, ceph_store.settings(), bucket)
    clips = cached.add(9)
    statement = {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [f"arn:aws:s3:::{bucket}/*"]}
    writer = ceph_store.user({"Version": "2012-10-17", "Statement": [statement]})
    cached.store = Store(parts.home, writer.settings())
    done = cached.trimmed(0)
    assert (done.clips, present(clips)) == (0, [True])
    assert "does not confirm what it holds" in str(done.trouble)
    assert "needs the role `reader`" in str(done.trouble)
    # Wrong keys get the same answer to a HEAD.
    cached.store = Store(parts.home, msgspec.structs.replace(ceph_store.settings(), secret_key="wrong" * 8))
    assert (cached.trimmed(0).clips, present(clips)) == (0, [True])


def test_a_copy_that_was_given_to_somebody_meanwhile_stays(on_rclone: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    given, other = on_rclone.add(9, 8)
    looked = Watch.catch_up

    def catch_up(watch: Watch) -> None:
        os.utime(given.path)  # what being given to somebody does, in whatever process
        looked(watch)

    monkeypatch.setattr(Watch, "catch_up", catch_up)
    done = on_rclone.trimmed(0)
    assert present([given, other]) == [True, False]
    assert done.kept == {"used": 1}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody sees which files are open")
def test_what_is_open_or_was_used_just_now_stays(on_rclone: Cached) -> None:
    opened, fresh, other = on_rclone.add(9, 0.001, 8)
    player = subprocess.Popen(
        [sys.executable, "-c", "import sys; f = open(sys.argv[1]); print('playing', flush=True); sys.stdin.read()", str(opened.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert player.stdout is not None
    assert player.stdout.readline() == "playing\n"
    done = on_rclone.trimmed(0, keep=600.0)
    assert present([opened, fresh, other]) == [True, True, False]
    assert done.kept == {"open": 1, "used": 1}
    player.communicate("")
    assert on_rclone.trimmed(0).clips == 2


def test_a_use_between_the_look_and_the_end_saves_the_copy(on_rclone: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    used, other = on_rclone.add(9, 8)
    head = Store.head

    def head_while_it_is_used(self: Store, bucket: str, key: str) -> object:
        if key == used.key:
            on_rclone.parts.record(AudioAccessed(channel="cli", purpose="fetch"), used.clip)
        return head(self, bucket, key)

    monkeypatch.setattr(Store, "head", head_while_it_is_used)
    assert on_rclone.trimmed(0).kept == {"used": 1}
    assert present([used, other]) == [True, False]


def test_files_that_no_clip_accounts_for_stay_and_are_counted(on_rclone: Cached) -> None:
    [clip] = on_rclone.add(9)
    folder = clip.path.parent
    stranger = folder / "notes.txt"
    stranger.write_bytes(bytes(5 * KB))
    unknown = folder / f"tide-{new_id()}.wav"
    unknown.write_bytes(bytes(3 * KB))
    altered = on_rclone.add(7)[0]
    altered.path.write_bytes(bytes(99))
    age(altered.path, 8)
    done = on_rclone.trimmed(0)
    assert done.kept == {"unknown": 2, "altered": 1}
    assert (done.clips, done.left) == (1, 8 * KB + 99)
    assert stranger.exists() and unknown.exists() and altered.path.exists()  # noqa: PT018  # one fact


def test_what_interrupted_fetches_left_goes_after_a_day(on_rclone: Cached) -> None:
    [clip] = on_rclone.add(9)
    names = {".tide.0123456789abcdef.part": 2, ".tide.0123456789abcdef.part.ranges": 2, ".new.0123456789abcdef.part": 0.1,
             ".0123456789abcdef.part": 3, ".hidden": 3}  # fmt: skip
    for name, days in names.items():
        (clip.path.parent / name).write_bytes(bytes(4096))
        age(clip.path.parent / name, days)
    on_rclone.trimmed(0)
    left = {path.name for path in clip.path.parent.iterdir()}
    assert left == {".new.0123456789abcdef.part", ".0123456789abcdef.part", ".hidden"}


def test_copies_of_adopted_clips_go_like_others(on_rclone: Cached) -> None:
    parts, key, content = on_rclone.parts, "Übung/voice 1.wav", os.urandom(5 * KB)
    on_rclone.store.put(on_rclone.bucket, key, content)
    adopted = AudioAdopted(
        source="bucket", made=datetime(2026, 1, 1, tzinfo=UTC), format="wav", sample_rate=None, channels=None, duration_us=0,
        bytes=len(content), sha256="ab" * 32, bucket=on_rclone.bucket, stored=True, etag="e", actor_label="ann", session=None,
        name=None, key=key, origin=None, tags=(),
    )  # fmt: skip
    clip = new_id()
    parts.record(adopted, clip)
    path = parts.home.cache / key
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    age(path, 5)
    assert on_rclone.trimmed(0).clips == 1
    assert not path.parent.exists(), "nor does the empty folder stay"
    assert [event.subject for event in events(parts, CacheEvicted)] == [clip]


def test_a_dry_run_counts_and_changes_nothing(on_rclone: Cached) -> None:
    clips = on_rclone.add(9, 8, 7)
    done = on_rclone.cache().trim(to=10 * KB, dry=True)
    assert done is not None
    assert (done.clips, done.bytes, done.left) == (2, 20 * KB, 10 * KB)
    assert present(clips) == [True] * 3
    assert events(on_rclone.parts, CacheEvicted) == []


def test_a_kill_in_between_loses_no_copy_that_is_not_in_the_store(on_rclone: Cached) -> None:
    clips = on_rclone.add(9, 8, 7)
    program = (
        "import sys; sys.path.insert(0, sys.argv[3]); from pathlib import Path; from tests.building import Parts;"
        "from tests.catalog.test_cache import Cached; from voxledger.catalog.settings import load;"
        "parts = Parts(Path(sys.argv[1])); Cached(parts, load(Path(sys.argv[1])).settings.store, sys.argv[2]).trimmed(0)"
    )
    settings = on_rclone.settings
    environ = {
        **os.environ, "VOXLEDGER_FAILPOINT": "cache.after_unlink", "VOXLEDGER_STORE_ENDPOINT": settings.endpoint,
        "VOXLEDGER_STORE_ACCESS_KEY": settings.access_key, "VOXLEDGER_STORE_SECRET_KEY": settings.secret_key,
    }  # fmt: skip
    here = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, str(on_rclone.parts.home.path), on_rclone.bucket, here], env=environ, timeout=60, check=False
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    gone = [clip for clip in clips if not clip.path.exists()]
    assert gone
    assert events(on_rclone.parts, CacheEvicted) == [], "the log has not heard of it"
    for clip in gone:
        assert on_rclone.store.get(on_rclone.bucket, clip.key) == clip.content
    done = on_rclone.trimmed(0)
    assert (done.clips, done.left) == (3 - len(gone), 0)


def test_more_files_than_fit_into_one_look(on_rclone: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxledger.catalog.eviction._BATCH", 2)
    monkeypatch.setattr("voxledger.catalog.eviction._LOOKED_UP", 2)
    monkeypatch.setattr("voxledger.catalog.cache_files.survey.__kwdefaults__", {"after": None, "window": 3})
    clips = on_rclone.add(*range(16, 6, -1))
    # The oldest file of a stored clip is one that was used yesterday, and older ones are not stored yet.
    at = datetime.now(UTC) - timedelta(days=1)
    on_rclone.parts.record(AudioAccessed(channel="cli", purpose="play"), clips[0].clip, time=at)
    waiting = on_rclone.add(30, 29, upload=False)
    done = on_rclone.trimmed(40 * KB)
    assert present(clips) == [True, *[False] * 8, True]
    assert present(waiting) == [True, True]
    assert (done.left, done.kept) == (40 * KB, {"waiting": 2})


def test_others_wait_or_leave_it_while_one_trims(on_rclone: Cached) -> None:
    on_rclone.add(9)
    cache = on_rclone.cache()
    with cache_module.platform.locked(on_rclone.parts.home.path / ".cache.trim.lock"):
        assert cache.trim(to=0, wait=False) is None
        started = threading.Thread(target=cache.trim, kwargs={"to": 0})
        started.start()
        assert len(list(on_rclone.parts.home.cache.rglob("*.wav"))) == 1
    started.join(20)
    assert list(on_rclone.parts.home.cache.rglob("*.wav")) == []


def test_growth_beyond_the_limit_is_trimmed_in_the_background(on_rclone: Cached) -> None:
    cache = on_rclone.cache(limit=40 * KB)
    clips = on_rclone.add(9, 8, 7)
    cache.grown(30 * KB)
    wait_for(lambda: size_on_record(on_rclone.parts.home), "it is counted")
    assert present(clips) == [True] * 3
    clips += on_rclone.add(6, 5)
    cache.grown(20 * KB)
    cache.close(wait=20)
    # Down to nine tenths of the limit.
    assert present(clips) == [False, False, True, True, True]
    found = size_on_record(on_rclone.parts.home)
    assert found is not None
    assert (found.bytes, found.files, found.short) == (30 * KB, 3, 0)


def test_a_cache_that_cannot_shrink_is_not_walked_through_all_the_time(
    on_rclone: Cached, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_rclone.add(9, 8, upload=False)
    cache = on_rclone.cache(limit=5 * KB)
    first = cache.check()
    assert first is not None
    assert first.kept == {"waiting": 2}
    assert cache.check() is None
    on_rclone.upload()
    size = size_on_record(on_rclone.parts.home)
    assert size is not None
    cache._write(msgspec.structs.replace(size, counted=size.counted - 60))
    again = cache.check()
    assert again is not None
    assert again.clips == 2


def test_without_a_limit_nothing_is_even_counted(on_rclone: Cached) -> None:
    on_rclone.add(9)
    cache = on_rclone.cache()
    cache.grown(10**12)
    assert cache.check() is None
    assert cache._thread is None
    assert size_on_record(on_rclone.parts.home) is None


def test_a_record_of_the_size_that_cannot_be_read_is_counted_anew(on_rclone: Cached) -> None:
    on_rclone.add(9)
    (on_rclone.parts.home.path / "cache.json").write_text("{")
    cache = on_rclone.cache(limit=10**6)
    cache.check()
    found = size_on_record(on_rclone.parts.home)
    assert isinstance(found, Size)
    assert (found.bytes, found.files) == (10 * KB, 1)


@settings(max_examples=40, deadline=None)
@given(ages=st.lists(st.integers(0, 10**6), max_size=30), window=st.integers(1, 7), after=st.integers(0, 10**6))
def test_a_survey_finds_the_oldest_in_order_and_all_of_them_in_turn(
    tmp_path_factory: pytest.TempPathFactory, ages: list[int], window: int, after: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    for number, seconds in enumerate(ages):
        path = folder / str(number % 3) / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(number))
        os.utime(path, (seconds, seconds))
    wanted = sorted((float(seconds), f"{number % 3}/{number}.wav") for number, seconds in enumerate(ages))
    found: list[tuple[float, str]] = []
    place = None
    while True:
        seen = survey(folder, 2e6, after=place, window=window)
        assert (seen.files, seen.bytes) == (len(ages), sum(range(len(ages))))
        assert len(seen.oldest) <= window
        found += [file.age for file in seen.oldest]
        if not seen.more:
            break
        place = seen.oldest[-1].age
    assert found == wanted


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A HOME with its embedded store."""
    yield tmp_path / "home"
    with voxledger.open(tmp_path / "home") as vox:
        if vox.store.embedded is not None:
            vox.store.embedded.stop()


def test_a_person_sees_and_trims_the_cache(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with voxledger.open(home, cache_max_bytes="1GB") as vox:
        clips = [vox.speak(f"Number {number}.") for number in range(3)]
        assert vox.uploader.flush(timeout=30) == 0
    command(home, "cache", "status", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert facts["files"] == 3
    assert facts["bytes"] == sum(clip.bytes for clip in clips)
    assert (facts["max_bytes"], facts["kept"]) == (None, {"used": 3})
    assert command(home, "cache", "trim") == 1
    assert "give one with --to" in capsys.readouterr().err
    assert command(home, "cache", "trim", "--to", "soon") == 1
    assert "soon" in capsys.readouterr().err
    assert command(home, "cache", "trim", "--to", "0", "--json") == 1, "what was just made stays for a while"
    assert json.loads(capsys.readouterr().out)["kept"] == {"used": 3}
    (home / "voxledger.toml").write_text('[cache]\nkeep = "0s"\nmax_bytes = "10MB"\n')
    assert command(home, "cache", "trim", "--to", "0", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "would remove 3 copies" in shown
    assert "0 B would stay" in shown
    assert "nothing was removed; a real run asks the store first" in shown
    assert command(home, "cache", "trim", "--to", "0") == 0
    assert "removed 3 copies" in capsys.readouterr().out
    assert command(home, "status") == 0
    assert "local copies 0 B of 10.0 MB" in capsys.readouterr().out
    with voxledger.open(home) as vox:
        for clip in clips:
            assert vox.catalog.fetch(clip.id).stat().st_size == clip.bytes


def test_a_closing_ledger_trims_what_it_has_made(home: Path) -> None:
    with voxledger.open(home, cache_max_bytes="50kB", cache_keep="0s") as vox:
        made = [vox.speak(f"This is number {number} of a few clips.") for number in range(3)]
        assert vox.uploader.flush(timeout=30) == 0
        vox.catalog.fetch(made[0].id)
    left = sum(path.stat().st_size for path in (home / "cache").rglob("*.wav"))
    assert left <= 50 * KB < sum(clip.bytes for clip in made)


def command(home: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home), *arguments])
    return int(ended.value.code or 0)


def test_a_busy_log_is_no_reason_to_fail_in_the_background(
    on_rclone: Cached, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    on_rclone.add(9)
    cache = on_rclone.cache(limit=1)

    def busy(*_: object, **__: object) -> None:
        raise CatalogBusy("another process holds the log")

    monkeypatch.setattr(on_rclone.parts.keeper, "reading", busy)
    cache.grown(1)
    cache.close(wait=10)
    assert "could not be trimmed: another process holds the log" in caplog.text


def corrupt(path: Path) -> None:
    """One bit is another, as on a disk that wears out: size and times stay."""
    times, content = path.stat(), path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_damaged_copy_is_moved_aside_where_the_store_has_the_clip_and_comes_back_when_it_is_used(
    cached: Cached,
) -> None:
    good, damaged, short = cached.add(9, 9, 9)
    before = good.path.stat().st_atime_ns
    corrupt(damaged.path)
    short.path.write_bytes(b"short")
    told: list[Differing] = []
    found = cached.cache().verify(told=told.append)
    assert (found.files, found.bytes, found.unknown, found.trouble) == (1, 10 * KB, 0, None)
    assert list(found.differing) == told
    assert {(each.clip, each.path, each.fate) for each in told} == {
        (damaged.clip, damaged.key, "aside"),
        (short.clip, short.key, "aside"),
    }
    assert present([good, damaged, short]) == [True, False, False]
    assert found.aside is not None
    assert (found.aside / short.key).read_bytes() == b"short"
    assert good.path.stat().st_atime_ns == before, "looking is no use"
    assert [msgspec.json.decode(event.data)["reason"] for event in events(cached.parts, CacheEvicted)] == [
        "damaged"
    ] * 2
    fetched = cached.catalog().fetch(damaged.clip)
    assert (fetched, fetched.read_bytes()) == (damaged.path, damaged.content)
    again = cached.cache().verify()
    assert (again.files, again.differing, again.aside) == (2, (), None)


def test_the_last_copy_of_a_clip_stays_and_is_named_however_damaged(cached: Cached) -> None:
    lost, replaced = cached.add(9, 9)
    [waiting] = cached.add(9, upload=False)
    cached.store.delete(cached.bucket, lost.key)
    cached.store.put(cached.bucket, replaced.key, bytes(len(replaced.content)))
    stranger = cached.parts.home.cache / "stranger.wav"
    stranger.write_bytes(b"of no clip")
    for clip in (lost, replaced, waiting):
        corrupt(clip.path)
    found = cached.cache().verify()
    assert {each.clip: each.fate for each in found.differing} == {
        lost.clip: "lost",
        replaced.clip: "lost",
        waiting.clip: "only",
    }
    assert (present([lost, replaced, waiting]), found.unknown, found.aside) == ([True] * 3, 1, None)
    assert events(cached.parts, CacheEvicted) == []


def test_a_damaged_copy_stays_while_the_store_says_nothing(on_rclone: Cached) -> None:
    clips = on_rclone.add(9, 8)
    for clip in clips:
        corrupt(clip.path)
    on_rclone.store = Store(on_rclone.parts.home, StoreSettings(endpoint=NOBODY))
    found = on_rclone.cache().verify()
    assert ([each.fate for each in found.differing], present(clips)) == (["unasked"] * 2, [True] * 2)
    assert "does not say what it holds" in str(found.trouble)


def test_a_copy_that_came_back_while_the_store_was_read_is_not_moved(
    on_rclone: Cached, monkeypatch: pytest.MonkeyPatch
) -> None:
    [clip] = on_rclone.add(9)
    corrupt(clip.path)
    read = cache_verifying.hash_object

    def slowly(*place: Any) -> Any:
        clip.path.unlink()
        clip.path.write_bytes(clip.content)
        return read(*place)

    monkeypatch.setattr(cache_verifying, "hash_object", slowly)
    assert on_rclone.cache().verify().differing == ()
    assert clip.path.read_bytes() == clip.content
    assert events(on_rclone.parts, CacheEvicted) == []


def test_a_person_is_told_which_copies_are_damaged(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with voxledger.open(home) as vox:
        clips = [vox.speak(f"Number {number}.") for number in range(2)]
        assert vox.uploader.flush(timeout=30) == 0
    assert command(home, "cache", "verify") == 0
    assert "2 copies as the log says" in capsys.readouterr().out
    assert clips[0].path is not None
    corrupt(clips[0].path)
    assert command(home, "cache", "verify", "--json") == 1
    shown = json.loads(capsys.readouterr().out)
    assert [(each["clip"], each["fate"]) for each in shown["differing"]] == [(clips[0].id, "aside")]
    assert Path(shown["aside"]).parent == home
    assert clips[1].path is not None
    corrupt(clips[1].path)
    assert command(home, "cache", "verify") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "1 copy not as the log says" in said
    assert clips[1].id[-8:] in said
    assert command(home, "fetch", clips[0].id, clips[1].id) == 0
    capsys.readouterr()
    assert command(home, "cache", "verify") == 0
    with voxledger.open(home) as vox:
        told = [happening.sentence for happening in vox.catalog.history(clips[0])]
    assert any("moved aside as damaged" in sentence for sentence in told), told


def test_an_interrupt_names_what_was_found_so_far(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with voxledger.open(home) as vox:
        clip = vox.speak("Number.")
        assert vox.uploader.flush(timeout=30) == 0
    assert clip.path is not None
    corrupt(clip.path)
    settled = cache_verifying.Verifier._move_aside

    def then_interrupt(verifier: cache_verifying.Verifier, copy: Any) -> bool:
        settled(verifier, copy)
        raise KeyboardInterrupt

    monkeypatch.setattr(cache_verifying.Verifier, "_move_aside", then_interrupt)
    assert command(home, "cache", "verify") == 130
    assert "Interrupted. The rest was not looked at" in capsys.readouterr().err
