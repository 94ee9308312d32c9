"""Consent ends: for every process at once, for ever, and whatever happens to the journal."""

from __future__ import annotations

import io
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxledger
from tests import forking
from tests.building import NOBODY, Parts, completed
from voxledger.catalog import JournalError
from voxledger.catalog.events import Fact, SubjectErased, VoiceRegistered, VoiceWithdrawn, new_id
from voxledger.catalog.exchange import exported, take_in
from voxledger.ledger import Ledger
from voxledger.synth.errors import ConsentEnded, UnknownVoice
from voxledger.synth.voices import Use
from voxledger.synth.voices.registry import Registry


def opened(home: Path) -> Ledger:
    return voxledger.open(home, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0)


def record(vox: Ledger, fact: Fact, subject: str, *, actor: str = "ann") -> None:
    """An event that did not come through `Voices`: an import, or an erasure."""
    vox.journal.emit(vox.recorder.draft(fact, subject=subject, actor=vox.vault.actor(actor)))


def clip(vox: Ledger, **changes: object) -> str:
    identity = new_id()
    record(vox, completed(**changes), identity)
    return identity


def erased(target: str, *, scope: str = "actor") -> SubjectErased:
    return SubjectErased(
        request="e", scope=scope, target=target, clips=0, voices=1, objects=0, bytes=0, reports=0, key_destroyed=scope == "actor",
        outcomes={},
    )  # type: ignore[arg-type]  # one of the two words  # fmt: skip


def refused(vox: Ledger, *voices: str) -> None:
    for voice in voices:
        with pytest.raises(ConsentEnded):
            vox.voices.resolve(voice)


def test_a_withdrawn_voice_is_refused_under_all_its_names(vox: Ledger, speech: Path) -> None:
    made = vox.voices.add("bob", speech, own=True)
    vox.voices.add("robert", speech, own=True)
    ended = vox.voices.withdraw("bob", reason="he asked")
    assert (ended.voice.state, ended.use) == ("withdrawn", Use(clips=0, duration_us=0))
    with pytest.raises(ConsentEnded, match=r"voice 'robert' \(\w{12}\) was withdrawn on 20\d\d-.*register it again"):
        vox.voices.resolve("robert")
    refused(vox, "bob", made.sha256, str(speech))
    with pytest.raises(ConsentEnded):
        vox.voices.check(made.sha256)
    with pytest.raises(ConsentEnded, match="already"):
        vox.voices.withdraw("robert")
    [row] = vox.catalog.sql("FROM voices").rows()
    assert (row["state"], row["withdrawal_reason"]) == ("withdrawn", "he asked")
    assert made.path
    assert made.path.exists()


def test_the_end_counts_what_was_made_and_the_clips_are_found(vox: Ledger, speech: Path) -> None:
    made = vox.voices.add("bob", speech, own=True)
    mine = {clip(vox, voice_sha256=made.sha256, voice_name="bob", duration_us=1_500_000) for _ in range(3)}
    clip(vox, voice_sha256="0" * 64)
    clip(vox)
    ended = vox.voices.withdraw("bob")
    assert ended.use == Use(clips=3, duration_us=4_500_000)
    [event] = vox.catalog.sql("SELECT data ->> 'clips' AS clips FROM events WHERE type = 'VoiceWithdrawn'").rows()
    assert event["clips"] == "3"
    for asked in ("bob", made.sha256, made.short):
        assert {found.id for found in vox.catalog.clips(voice=asked)} == mine
    assert vox.voices.uses()[made.sha256] == 3


def test_a_recording_whose_emotion_was_taken_counts_as_used(vox: Ledger, speech: Path) -> None:
    made = vox.voices.add("bob", speech, own=True)
    both = clip(vox, voice_sha256=made.sha256, emotion_sha256=made.sha256)
    mood = clip(vox, voice_sha256="0" * 64, emotion_sha256=made.sha256)
    assert vox.voices.use(made).clips == vox.voices.uses()[made.sha256] == 2
    assert {found.id for found in vox.catalog.clips(voice=made.short)} == {both, mood}


def test_the_end_does_not_wait_for_a_catalog_that_cannot_be_asked(
    vox: Ledger, speech: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = vox.voices.add("bob", speech, own=True)
    vox.home.catalog.unlink(missing_ok=True)
    vox.home.catalog.mkdir()
    ended = vox.voices.withdraw("bob")
    assert ended.use is None
    assert "could not be counted" in caplog.text
    refused(vox, made.sha256)
    vox.home.catalog.rmdir()
    [row] = vox.catalog.sql("SELECT data ->> 'clips' AS clips FROM events WHERE type = 'VoiceWithdrawn'").rows()
    assert row["clips"] is None


def test_new_consent_makes_a_withdrawn_voice_usable_again(vox: Ledger, speech: Path) -> None:
    vox.voices.add("bob", speech, own=True)
    vox.voices.withdraw("bob")
    vox.voices.add("robert", speech, own=True)
    assert vox.voices.resolve("bob").sha256 == vox.voices.resolve("robert").sha256
    assert vox.catalog.sql("SELECT state FROM voices").rows() == [{"state": "registered"}]


_ASKS = """
import sys, voxledger
from voxledger.synth.errors import SynthesisError
with voxledger.open({home!r}, store_endpoint={nobody!r}, general_actor="bea", store_close_wait=0) as vox:
    for line in sys.stdin:
        try:
            print(vox.voices.resolve(line.strip()).name, flush=True)
        except SynthesisError as error:
            print(error.failure_class, flush=True)
"""


def test_what_one_process_changes_all_others_know_at_once(vox: Ledger, speech: Path) -> None:
    code = _ASKS.format(home=str(vox.home.path), nobody=NOBODY)
    other = forking.spawn(["-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, whole=True)
    assert other.stdin
    assert other.stdout

    def asked() -> str:
        assert other.stdin
        assert other.stdout
        other.stdin.write("bob\n")
        other.stdin.flush()
        return other.stdout.readline().strip()

    assert asked() == "unknown_voice"
    for _ in range(3):
        vox.voices.add("bob", speech, own=True)
        assert asked() == "bob"
        vox.voices.withdraw("bob")
        assert asked() == "voice_withdrawn"
    other.stdin.close()
    assert other.wait(20) == 0
    other.stdout.close()


def test_a_lost_journal_loses_neither_voices_nor_their_end(tmp_path: Path, speech: Path, another: Path) -> None:
    with opened(tmp_path / "home") as vox:
        vox.voices.add("bob", speech, own=True, scope="internal", expires=datetime.now(UTC) + timedelta(days=9))
        vox.voices.add("eve", another, own=True, actor="carla")
        vox.voices.withdraw("eve")
        before = vox.voices.all()
        vox.keeper.drain()
    for path in (tmp_path / "home").glob("journal.sqlite*"):
        path.unlink()
    with opened(tmp_path / "home") as vox:
        assert vox.voices.resolve("bob").scope == "internal"
        refused(vox, "eve")
        assert vox.voices.all() == before
        vox.voices.withdraw("bob")
        refused(vox, "bob")


def test_an_older_copy_of_the_journal_does_not_bring_consent_back(tmp_path: Path, speech: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    with opened(home) as vox:
        vox.voices.add("bob", speech, own=True)
        vox.keeper.drain()
    copy.mkdir()
    for path in home.glob("journal.sqlite*"):
        shutil.copy2(path, copy)
    with opened(home) as vox:
        vox.voices.withdraw("bob")
        vox.keeper.drain()
    for path in home.glob("journal.sqlite*"):
        path.unlink()
    for path in copy.iterdir():
        shutil.copy2(path, home)
    with opened(home) as vox:
        refused(vox, "bob")


def test_a_journal_without_voices_learns_them_from_the_log(tmp_path: Path, speech: Path) -> None:
    """Schema 2 had no tables for them, but events about voices could come in by import."""
    home = tmp_path / "home"
    with opened(home) as vox:
        vox.voices.add("bob", speech, own=True)
    connection = sqlite3.connect(home / "journal.sqlite")
    for table in ("voices", "voice_names", "voices_state", "tokens", "token_usage"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
    connection.commit()
    connection.close()
    with opened(home) as vox:
        assert vox.voices.resolve("bob").name == "bob"


def test_events_that_come_from_elsewhere_count_at_once(vox: Ledger, speech: Path) -> None:
    made = vox.voices.add("bob", speech, own=True)
    record(vox, VoiceWithdrawn(sha256=made.sha256, clips=0, name="bob", reason=None), made.sha256, actor="carla")
    refused(vox, "bob")


def test_a_serving_node_tells_the_others_what_the_log_says(vox: Ledger, speech: Path) -> None:
    made = vox.voices.add("bob", speech, own=True)
    with vox.keeper.serving(), opened(vox.home.path) as other:
        assert other.voices.resolve("bob").sha256 == made.sha256
        record(vox, VoiceWithdrawn(sha256=made.sha256, clips=0, name="bob", reason=None), made.sha256)
        refused(other, "bob")


def test_a_voice_of_another_home_is_known_but_cannot_be_used(tmp_path: Path, vox: Ledger, speech: Path) -> None:
    made = vox.voices.add("bob", speech, own=True)
    file = io.BytesIO(b"".join(event + b"\n" for event in exported(vox.keeper)))
    with opened(tmp_path / "other") as other:
        take_in(file, other.recorder, other.keeper, actor=other.vault.actor("ann").id)
        refused(other, made.sha256)
        with pytest.raises(UnknownVoice):
            other.voices.resolve("bob")
        other.voices.add("bob", speech, own=True)
        assert other.voices.resolve("bob").sha256 == made.sha256


def test_who_was_erased_has_no_voices_any_more(vox: Ledger, speech: Path, another: Path, tmp_path: Path) -> None:
    paper = tmp_path / "agreed.pdf"
    paper.write_bytes(b"I agree.")
    gone = vox.voices.add("bob", speech, consent=paper, actor="carla")
    kept = vox.voices.add("eve", another, own=True)
    vox.voices.resolve("bob")
    record(vox, erased(vox.vault.actor("carla").id), "e")
    refused(vox, gone.sha256)
    with pytest.raises(UnknownVoice):
        vox.voices.resolve("bob")
    assert vox.voices.resolve("eve").sha256 == kept.sha256
    assert [path.name for path in vox.home.voices.rglob("*") if path.is_file()] == [f"{kept.sha256}.wav"]
    [stone, _] = vox.voices.all()
    assert (stone.state, stone.name, stone.names, stone.actor, stone.path) == ("erased", None, (), None, None)


def test_a_recording_that_somebody_else_registered_too_outlives_an_erasure(vox: Ledger, speech: Path) -> None:
    made = vox.voices.add("bob", speech, own=True, actor="dora")
    vox.voices.add("robert", speech, own=True, actor="carla")
    record(vox, erased(vox.vault.actor("carla").id), "e")
    assert vox.voices.resolve("bob").path == made.path
    with pytest.raises(UnknownVoice):
        vox.voices.resolve("robert")
    assert vox.voices.show("bob").actor == "dora"


def test_an_erased_recording_is_refused_and_gone(vox: Ledger, speech: Path) -> None:
    made = vox.voices.add("bob", speech, own=True)
    record(vox, erased(made.sha256, scope="voice"), "e")
    refused(vox, made.sha256)
    assert made.path
    assert not made.path.exists()
    vox.voices.add("bob", speech, own=True)
    assert vox.voices.resolve("bob").sha256 == made.sha256


def test_a_key_that_is_gone_makes_a_voice_unusable(tmp_path: Path, speech: Path) -> None:
    with opened(tmp_path / "home") as vox:
        made = vox.voices.add("bob", speech, own=True, actor="carla")
        assert made.path
        vox.vault._execute("UPDATE actors SET key = NULL WHERE label = 'carla'", ())
    with opened(tmp_path / "home") as vox:
        refused(vox, made.sha256)
        assert vox.voices.all()[0].state == "erased"
        with vox.journal.transaction() as write:
            write.connection.execute("UPDATE voices_state SET filled = -1")
        refused(vox, made.sha256)
        assert made.path.exists()  # a vault can be put back


def test_a_look_inside_of_a_change_sees_it_and_never_changes_anything(vox: Ledger, speech: Path) -> None:
    made = vox.voices.add("bob", speech, own=True)
    with vox.journal.transaction():
        vox.voices.check(made.sha256)
    record(vox, VoiceWithdrawn(sha256=made.sha256, clips=0, name="bob", reason=None), made.sha256)
    with pytest.raises(JournalError), vox.journal.transaction():
        vox.voices.check(made.sha256)  # it would have to read the log first
    refused(vox, "bob")


_STEP = st.one_of(
    st.tuples(st.just("add"), st.sampled_from("abc"), st.sampled_from("123"), st.sampled_from(["x", "y"])),
    st.tuples(st.just("end"), st.sampled_from("123"), st.just(""), st.just("x")),
)


def registered(name: str, sha256: str) -> VoiceRegistered:
    return VoiceRegistered(
        sha256=sha256, bytes=1, duration_us=1, speech_us=1, sample_rate=8000, channels=1, loudness_lufs=None, consent="own",
        consent_sha256=None, scope="any", expires=None, bucket="b", name=name, key=f"{sha256}.wav", consent_path=None,
    )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(st.lists(_STEP, max_size=12))
def test_the_log_tells_the_same_as_the_changes_one_by_one(steps: list[tuple[str, str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        parts = Parts(Path(folder) / "home")
        registry = Registry(parts.recorder, lambda: parts.keeper, lambda hashes: None)
        for kind, first, second, actor in steps:
            who = parts.vault.actor(actor)
            if kind == "add":
                registry.register(registered(first, second * 64), actor=who, put_up=lambda write, event: None)
            else:
                registry.withdraw(VoiceWithdrawn(sha256=first * 64, clips=0, name="", reason=None), actor=who)
        before = _shown(registry)
        with parts.journal.transaction() as write:
            write.connection.execute("UPDATE voices_state SET filled = -1")
        assert _shown(registry) == before
        parts.close()


def _shown(registry: Registry) -> list[object]:
    return [
        (entry.row._replace(facts=None), entry.state, sorted(names), entry.row.facts and registry.facts(entry.row))
        for entry, names in registry.all()
    ]


def test_a_look_up_costs_next_to_nothing(vox: Ledger, speech: Path) -> None:
    """What is added to each clip is to stay far below 5 ms; measured loosely, because tests share their processors."""
    made = vox.voices.add("bob", speech, own=True)
    asks: list[Callable[[], object]] = [lambda: vox.voices.resolve("bob"), lambda: vox.voices.check(made.sha256)]
    for ask in asks:
        ask()
        spans = []
        for _ in range(50):
            before = time.perf_counter()
            ask()
            spans.append(time.perf_counter() - before)
        assert sorted(spans)[25] < 0.002
