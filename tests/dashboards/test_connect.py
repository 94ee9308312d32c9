"""`voxledger.connect()`: a node's ledger that feels like one of this machine."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import voxledger
from tests.node import RunningNode, running_node
from voxledger.catalog.catalog import Catalog
from voxledger.catalog.errors import ClipNotFound, HomeError, PolicyError, QueryError, SettingsError
from voxledger.catalog.search import SearchIndex
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.remote import NodeUnreachable, RemoteLedger
from voxledger.dashboards.remote.audio import RemoteAudio
from voxledger.dashboards.remote.catalog import RemoteCatalog
from voxledger.dashboards.remote.search import RemoteSearch
from voxledger.dashboards.remote.studio import RemoteStudio
from voxledger.synth.emotion import Emotion
from voxledger.synth.errors import InvalidText, RecordingRefused, UnknownVoice
from voxledger.synth.studio import Studio


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("node") / "home", general_actor="ann", store_close_wait=0) as running:
        yield running


@pytest.fixture
def vox(node: RunningNode, tmp_path: Path) -> Iterator[RemoteLedger]:
    with voxledger.connect(home=node.home, cache=tmp_path / "cache") as ledger:
        yield ledger


def test_a_clip_is_made_there_and_heard_here(vox: RemoteLedger, node: RunningNode) -> None:
    clip = vox.speak("The tide is turning.", emotion={"happy": 0.7}, session="trailer", tags=["on-air"], name="tide")
    assert (clip.actor, clip.session, clip.name, clip.tags, clip.emotion) == (
        "ann",
        "trailer",
        "tide",
        ("on-air",),
        "happy",
    )
    path = clip.fetch()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == clip.sha256
    assert not path.is_relative_to(node.home)
    assert vox.speak("The tide is turning.", emotion={"happy": 0.7}).reused
    assert vox.catalog.clip(clip.short).id == clip.id
    assert vox.catalog.record(clip).text == "The tide is turning."
    assert vox.catalog.history(clip)[0].type == "GenerationCompleted"


def test_many_threads_fetch_the_same_clip(vox: RemoteLedger, tmp_path: Path) -> None:
    clip = vox.speak("Wanted by many at once.")
    with ThreadPoolExecutor(8) as pool:
        paths = {each.result() for each in [pool.submit(vox.catalog.fetch, clip) for _ in range(8)]}
    (path,) = paths
    assert hashlib.sha256(path.read_bytes()).hexdigest() == clip.sha256
    assert [each.name for each in (tmp_path / "cache").rglob("*") if each.is_file()] == [path.name]
    assert path.stat().st_mode & 0o077 == 0


def test_the_folder_of_fetched_audio_keeps_within_its_limit(vox: RemoteLedger, tmp_path: Path) -> None:
    clips = [vox.speak(f"Fetched as number {number}.") for number in range(4)]
    small = RemoteAudio(vox._connection, tmp_path / "small", most=clips[0].bytes * 2)
    paths = [small.local(clip) for clip in clips]
    assert paths[-1].exists()
    assert sum(path.stat().st_size for path in paths if path.exists()) <= clips[0].bytes * 2.5


def test_what_one_changes_there_is_changed(vox: RemoteLedger) -> None:
    clip = vox.speak("Something to be changed.")
    assert vox.catalog.tag(clip, "good", "loud").tags == ("good", "loud")
    assert vox.catalog.untag(clip, "loud").tags == ("good",)
    until = datetime.now(UTC) + timedelta(days=3)
    assert vox.catalog.pin(clip, reason="for the show", until=until).pinned_until == until
    assert not vox.catalog.unpin(clip).pinned
    assert vox.catalog.rate(clip, 4).id == clip.id
    with pytest.raises(QueryError, match="has no tag"):
        vox.catalog.untag(clip, "nowhere")


def test_pages_follow_one_another(vox: RemoteLedger) -> None:
    made = {vox.speak(f"Page number {number}.", session="pages").id for number in range(5)}
    first = vox.catalog.clips(session="pages", limit=3)
    second = vox.catalog.clips(session="pages", limit=3, after=first.next)
    assert {clip.id for clip in [*first, *second]} == made
    assert second.next is None


def test_it_answers_sql(vox: RemoteLedger) -> None:
    vox.speak("To be counted.")
    assert vox.catalog.sql("SELECT count(*) > 0 AS some FROM clips").rows() == [{"some": True}]
    with pytest.raises(QueryError):
        vox.catalog.sql("DROP TABLE clips")


def test_words_are_found(vox: RemoteLedger) -> None:
    clip = vox.speak("A heron stands in the reeds.")
    assert [hit.clip for hit in vox.search.search("heron reeds").hits] == [clip.id]


def test_a_stream_is_heard_before_it_ends(vox: RemoteLedger) -> None:
    with vox.studio.stream("One sentence. And another one, a little longer. And a third.") as stream:
        chunks = list(stream)
        clip = stream.clip
    assert sum(chunk.duration for chunk in chunks) == pytest.approx(clip.duration, abs=0.3)
    assert " ".join(chunk.text for chunk in chunks if chunk.text).startswith("One sentence.")
    with vox.studio.stream("One sentence. And another one, a little longer. And a third.") as again:
        assert sum(chunk.duration for chunk in again) == pytest.approx(clip.duration, abs=0.01)
        assert again.clip.reused
    with vox.studio.stream("It is left. " * 40) as left:
        next(left)
    with pytest.raises(InvalidText), vox.studio.stream(" ") as refused:
        next(refused)


def test_it_is_awaited(vox: RemoteLedger) -> None:
    async def both() -> list[voxledger.Clip]:
        return await asyncio.gather(*(vox.studio.aspeak(f"Awaited {word}.") for word in ("one", "two")))

    assert len({clip.id for clip in asyncio.run(both())}) == 2


def test_an_emotion_arrives_as_it_was_given(vox: RemoteLedger) -> None:
    clips = [
        vox.speak("How it was meant.", emotion=emotion, emotion_strength=0.5)
        for emotion in ("sad", {"sad": 1.0}, (0, 0, 1, 0, 0, 0, 0, 0), Emotion(weights=(0, 0, 1, 0, 0, 0, 0, 0)))
    ]
    assert len({clip.id for clip in clips}) == 1


def test_errors_are_those_of_a_ledger(vox: RemoteLedger, node: RunningNode, tmp_path: Path) -> None:
    with pytest.raises(ClipNotFound):
        vox.catalog.clip("00000000")
    with pytest.raises(ClipNotFound):
        vox.catalog.clip("../../etc/passwd")
    with pytest.raises(InvalidText):
        vox.speak("   ")
    recording = tmp_path / "voice.wav"
    recording.write_bytes(b"RIFF")
    with pytest.raises(UnknownVoice, match=r"voices\.add"):
        vox.speak("With a file.", voice=recording)
    with pytest.raises(UnknownVoice):
        vox.speak("With the name of a file over there.", voice=str(node.home / "voxledger.toml"))
    with voxledger.connect(node.url, "vox_nobody_nothing") as stranger, pytest.raises(Refused) as refused:
        stranger.catalog.clips()
    assert (refused.value.status, refused.value.code) == (401, "unknown_token")


def test_retention_is_planned_applied_and_undone_from_afar(vox: RemoteLedger) -> None:
    clip = vox.speak("Held for the trailer.")
    hold = vox.retention.hold(clip, reason="not out yet", until=datetime.now(UTC) + timedelta(days=30))
    assert (hold.standing, hold.owner) == (1, "ann")
    assert [each.id for each in vox.retention.holds()] == [hold.id]
    assert any("not out yet" in sentence for sentence in vox.retention.explain(clip))
    assert vox.retention.release(hold.id, reason="it is out").clips == 1
    plan = vox.retention.plan()
    assert plan.idle
    assert plan.rows().is_empty()
    assert vox.retention.status().schedule == ""
    with pytest.raises(PolicyError):
        vox.retention.apply(plan)  # there are no rules
    with pytest.raises(PolicyError):
        vox.retention.undo("0000000000000000")


def test_voices_are_registered_over_there(vox: RemoteLedger, tmp_path: Path) -> None:
    speech = vox.speak(
        "A recording that is long enough to be somebody's voice, or so we hope. " * 3, format="wav"
    ).fetch()
    voice = vox.voices.add("mary", speech, own=True, force=True)
    assert (voice.name, voice.state) == ("mary", "registered")
    assert [each.sha256 for each in vox.voices.all()] == [voice.sha256]
    assert vox.voices.show("mary").sha256 == voice.sha256
    assert vox.voices.withdraw("mary", reason="asked for").voice.state == "withdrawn"
    with pytest.raises(RecordingRefused):
        vox.voices.add("nobody", tmp_path / "nothing.wav", own=True)


def test_reports_models_and_status_are_there(vox: RemoteLedger) -> None:
    assert vox.reports.weekly().closed is False
    assert vox.reports.listed() == []
    assert vox.models.list() == ()
    assert vox.status()["clips"] > 0


def test_nobody_there_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOXLEDGER_URL", raising=False)
    with pytest.raises(HomeError, match="voxledger serve"):
        voxledger.connect(home=tmp_path / "nowhere")
    with pytest.raises(SettingsError, match="no address"):
        voxledger.connect("nowhere:80", "token")
    with (
        voxledger.connect("http://127.0.0.1:9", "token") as vox,
        pytest.raises(NodeUnreachable, match="does not answer"),
    ):
        vox.speak("Nobody hears this.", reuse=False)


@pytest.mark.parametrize(
    ("remote", "local", "besides"),
    [
        (
            RemoteStudio,
            Studio,
            {"speak": set(), "aspeak": set(), "stream": set(), "astream": set(), "subtitles": set()},
        ),
        (RemoteCatalog, Catalog, {"sql": {"fresh", "as_of", "params"}, "clip": {"actor"}}),
        (RemoteSearch, SearchIndex, {"search": {"fresh", "patience", "progress", "actor"}}),
    ],
)
def test_it_has_the_interface_of_a_ledger(remote: type[Any], local: type[Any], besides: dict[str, set[str]]) -> None:
    for name, method in inspect.getmembers(remote, inspect.isfunction):
        if name.startswith("_"):
            continue
        there = inspect.signature(method).parameters
        here = inspect.signature(getattr(local, name)).parameters
        differ = besides.get(name, set())
        wanted = {each: (found.kind, found.default) for each, found in here.items() if each not in differ}
        assert {each: (found.kind, found.default) for each, found in there.items() if each not in differ} == wanted, (
            name
        )
