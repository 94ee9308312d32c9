"""Registering a voice: by content, with its consent, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

import voxledger
from tests import forking
from tests.building import NOBODY
from tests.s3 import S3Server
from tests.synth.conftest import RATE
from voxledger.ledger import Ledger
from voxledger.synth.errors import ConsentEnded, InvalidRequest, RecordingRefused, UnknownVoice, VoiceMissing


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def left(vox: Ledger) -> list[Path]:
    return sorted(vox.home.voices.rglob("*")) if vox.home.voices.exists() else []


def test_a_recording_is_known_by_its_content(vox: Ledger, speech: Path) -> None:
    made = vox.voices.add("Änne", speech, own=True)
    assert made.sha256 == sha256(speech)
    assert made.path == vox.home.voices / f"{made.sha256}.wav"
    assert made.path.read_bytes() == speech.read_bytes()
    assert (made.state, made.names, made.consent, made.scope, made.actor) == (
        "registered",
        ("Änne",),
        "own",
        "any",
        "ann",
    )
    assert made.warnings == ()
    assert made.duration_us == pytest.approx(6e6, rel=0.3)
    for asked in ("Änne", "ÄNNE", made.sha256, made.short, speech, str(speech), made, vox.voices.resolve("Änne")):
        found = vox.voices.resolve(asked)
        assert (found.sha256, found.path, found.name) == (made.sha256, made.path, "Änne")
    vox.voices.check(made.sha256)
    assert left(vox) == [made.path]


def test_what_names_no_voice_is_refused_in_words(vox: Ledger) -> None:
    for door in (vox.voices.resolve, vox.voices.show, vox.voices.withdraw):
        with pytest.raises(UnknownVoice, match="named by a name, a SHA-256 or the path of a recording, not by 5"):
            door(5)  # type: ignore[operator]


def test_what_was_registered_is_a_row_that_sql_sees(vox: Ledger, speech: Path) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    made = vox.voices.add("bob", speech, own=True, scope="internal", expires=until, actor="carla")
    [row] = vox.catalog.sql("FROM voices").rows()
    assert (row["sha256"], row["name"], row["state"], row["scope"]) == (made.sha256, "bob", "registered", "internal")
    assert (row["sample_rate"], row["channels"], row["bytes"]) == (RATE, 1, speech.stat().st_size)
    assert row["expires"] == until
    assert 0.5 < row["speech_us"] / row["duration_us"] <= 1.0
    assert -40 < row["loudness_lufs"] < -5
    assert made.loudness_lufs == pytest.approx(row["loudness_lufs"], abs=0.01)
    assert vox.voices.show("bob") == made


def test_files_are_for_their_owner_alone(vox: Ledger, speech: Path, tmp_path: Path) -> None:
    paper = tmp_path / "agreed.pdf"
    paper.write_bytes(b"I agree.")
    made = vox.voices.add("bob", speech, consent=paper)
    assert made.path
    assert made.consent_path
    assert made.path.stat().st_mode & 0o777 == made.consent_path.stat().st_mode & 0o777 == 0o600
    assert vox.home.voices.stat().st_mode & 0o777 == 0o700


def test_a_consent_document_is_kept_beside_the_recording(vox: Ledger, speech: Path, tmp_path: Path) -> None:
    paper = tmp_path / "Bob agrees.PDF"
    paper.write_bytes(b"I agree.")
    made = vox.voices.add("bob", speech, consent=str(paper))
    assert (made.consent, made.consent_sha256) == ("document", sha256(paper))
    assert made.consent_path == vox.home.voices / "consents" / f"{sha256(paper)}.pdf"
    assert made.consent_path.read_bytes() == b"I agree."
    assert vox.journal.open_tasks("upload", [made.sha256]) == 2


@pytest.mark.parametrize(("name", "options"), [
    ("flac", {}), ("ogg", {}), ("mp3", {}), ("aiff", {}), ("wav", {"subtype": "FLOAT"}), ("wav", {"format": "WAVEX"}),
])  # fmt: skip
def test_files_are_known_by_what_is_in_them(
    vox: Ledger, voice: npt.NDArray[np.float32], tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    path = tmp_path / f"voice.{name}"
    soundfile.write(path, voice, RATE, **options)
    path = path.rename(tmp_path / "voice.bin")
    made = vox.voices.add("bob", path, own=True)
    assert made.key == f"{sha256(path)}.{name}"


def test_two_channels_are_taken_and_measured_as_engines_hear_them(
    vox: Ledger, voice: npt.NDArray[np.float32], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "both.wav", np.stack([voice, voice], axis=1), RATE)
    assert vox.voices.add("both", tmp_path / "both.wav", own=True).channels == 2
    soundfile.write(tmp_path / "apart.wav", np.stack([voice, -voice], axis=1), RATE)
    with pytest.raises(RecordingRefused, match="two channels cancel each other"):
        vox.voices.add("apart", tmp_path / "apart.wav", own=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--own or --consent FILE"),
        ({"own": True, "consent": "x.pdf"}, "one of the two"),
        ({"own": True, "scope": "Only for Bob's film"}, "more than a category"),
        ({"own": True, "expires": datetime(2020, 1, 1, tzinfo=UTC)}, "ended already"),
        ({"own": True, "expires": datetime(2120, 1, 1)}, "no time zone"),  # noqa: DTZ001  # this is the mistake
        ({"own": True, "name": "3fa9c1d2e4b5"}, "reads like a SHA-256"),
        ({"own": True, "name": "../ann"}, "climbs"),
        ({"own": True, "name": " "}, "empty"),
        ({"own": True, "actor": "a\nb"}, "control character"),
        ({"own": True, "name": 5}, "name must be a string, not int"),
        ({"own": True, "recording": None}, "recording must be the path of a file, not None"),
        ({"consent": 5}, "consent must be the path of a file, not 5"),
        ({"own": "yes"}, "own must be True or False, not 'yes'"),
        ({"own": True, "force": 1}, "force must be True or False, not 1"),
        ({"own": True, "expires": "tomorrow"}, "must be a datetime with its time zone, not 'tomorrow'"),
        ({"own": True, "scope": 5}, "more than a category"),
        ({"own": True, "actor": 5}, "actor must be a string"),
        ({"consent": "nowhere.pdf"}, "consent document nowhere.pdf .* no such file"),
    ],
)
def test_what_is_said_about_a_voice_is_checked_first(
    vox: Ledger, speech: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        vox.voices.add(options.pop("name", "bob"), options.pop("recording", speech), **options)
    assert vox.journal.head() == 0
    assert left(vox) == []


def test_a_name_goes_to_the_newest_recording(vox: Ledger, speech: Path, another: Path) -> None:
    first, second = vox.voices.add("bob", speech, own=True), vox.voices.add("BOB", another, own=True)
    assert vox.voices.resolve("bob").sha256 == second.sha256
    assert vox.voices.resolve(first.sha256).sha256 == first.sha256
    assert [(voice.sha256, voice.names) for voice in vox.voices.all()] == [
        (first.sha256, ()),
        (second.sha256, ("BOB",)),
    ]


def test_a_recording_may_have_two_names(vox: Ledger, speech: Path) -> None:
    vox.voices.add("bob", speech, own=True)
    vox.voices.add("robert", speech, own=True, scope="internal")
    assert vox.voices.resolve("bob").sha256 == vox.voices.resolve("robert").sha256
    assert (vox.voices.resolve("bob").name, vox.voices.resolve("robert").name) == ("bob", "robert")
    [voice] = vox.voices.all()
    assert (voice.names, voice.scope) == (("bob", "robert"), "internal")


def test_a_name_that_leads_nowhere_is_told_which_come_near(vox: Ledger, speech: Path, another: Path) -> None:
    vox.voices.add("Annette", speech, own=True)
    with pytest.raises(UnknownVoice, match="no registered voice 'anette'; did you mean 'Annette'"):
        vox.voices.resolve("anette")
    with pytest.raises(UnknownVoice, match="voices list"):
        vox.voices.resolve("zzz")
    with pytest.raises(UnknownVoice, match=rf"voxledger voices add NAME {another} --own"):
        vox.voices.resolve(another)
    with pytest.raises(UnknownVoice, match="no such file"):
        vox.voices.resolve("nowhere.wav")
    with pytest.raises(UnknownVoice, match="is registered here"):
        vox.voices.check("0" * 64)


def test_the_same_path_with_other_content_is_another_voice(vox: Ledger, speech: Path, another: Path) -> None:
    vox.voices.add("bob", another, own=True)
    assert vox.voices.resolve(another).name == "bob"
    another.write_bytes(speech.read_bytes())
    with pytest.raises(UnknownVoice):
        vox.voices.resolve(another)


def test_names_lie_nowhere_in_the_open(tmp_path: Path, speech: Path) -> None:
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, store_close_wait=0) as vox:
        vox.voices.add("Zephyrine", speech, own=True, actor="ann")
        vox.keeper.drain()
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file() and path.name not in ("catalog.duckdb", "vault.sqlite"):  # one is disposable, one the vault
            assert b"ephyrin" not in path.read_bytes(), path


def test_it_arrives_in_the_store_and_comes_back_from_there(
    tmp_path: Path, speech: Path, rclone_store: S3Server, bucket: str
) -> None:
    s3 = rclone_store
    paper = tmp_path / "agreed.pdf"
    paper.write_bytes(b"I agree.")
    settings = {"store_endpoint": s3.url, "store_access_key": s3.access_key, "store_secret_key": s3.secret_key}
    with voxledger.open(tmp_path / "home", **settings, store_voices=bucket, general_actor="ann") as vox:
        made = vox.voices.add("bob", speech, consent=paper)
        assert vox.uploader.flush([made.sha256], timeout=20) == 0
        assert vox.store.get(bucket, f"{made.sha256}.wav") == speech.read_bytes()
        assert vox.store.get(bucket, f"consents/{sha256(paper)}.pdf") == b"I agree."
        assert made.path
        made.path.unlink()
        assert vox.voices.resolve("bob").path.read_bytes() == speech.read_bytes()
        assert made.path.stat().st_mode & 0o777 == 0o600
        # What lies there is not what it should be: it is not handed out, and made good from the store.
        made.path.write_bytes(b"another voice")
        assert vox.voices.resolve("bob").path.read_bytes() == speech.read_bytes()
        made.path.unlink()
        vox.store.put(bucket, f"{made.sha256}.wav", b"another voice")
        with pytest.raises(VoiceMissing, match="altered in the store"):
            vox.voices.resolve("bob")
        vox.store.delete(bucket, f"{made.sha256}.wav")
        with pytest.raises(VoiceMissing, match="the store does not give it"):
            vox.voices.resolve("bob")
        assert not list(vox.home.voices.glob("*.wav"))
        vox.voices.add("bob", speech, own=True)
        assert vox.voices.resolve("bob").path == made.path


_ADD = """
import sys, voxledger
with voxledger.open({home!r}, store_endpoint={nobody!r}, general_actor="ann", store_close_wait=0) as vox:
    vox.voices.add("bob", {speech!r}, own=True)
"""


@pytest.mark.parametrize(
    ("place", "recorded"),
    [("voices.after_copy", False), ("journal.after_insert", False), ("journal.after_commit", True)],
)
def test_a_kill_leaves_a_whole_voice_or_none(tmp_path: Path, speech: Path, place: str, recorded: bool) -> None:
    home = tmp_path / "home"
    code = _ADD.format(home=str(home), nobody=NOBODY, speech=str(speech))
    voxledger.open(home).close()
    killed = forking.run(["-c", code], env={**os.environ, "VOXLEDGER_FAILPOINT": place})
    assert killed.returncode == -signal.SIGKILL
    with voxledger.open(home, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as vox:
        assert [voice.name for voice in vox.voices.all()] == (["bob"] if recorded else [])
        assert vox.catalog.sql("SELECT count(*) AS n FROM voices").rows() == [{"n": int(recorded)}]
        assert vox.journal.open_tasks("upload", [sha256(speech)]) == int(recorded)
        vox.voices.add("bob", speech, own=True)
        assert vox.voices.resolve("bob").path.read_bytes() == speech.read_bytes()
        assert len(left(vox)) == 1


def test_what_a_killed_process_left_is_swept_away(vox: Ledger, speech: Path) -> None:
    vox.voices.add("bob", speech, own=True)
    abandoned, busy = vox.home.voices / ".job-old", vox.home.voices / ".job-new"
    for folder in (abandoned, busy):
        folder.mkdir()
        (folder / "recording").write_bytes(b"half of it")
    os.utime(abandoned, (0, 0))
    vox.voices.add("bob", speech, own=True)
    assert not abandoned.exists()
    assert busy.exists()


def test_a_forced_recording_is_taken_with_a_warning(vox: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, RATE * 2), RATE)
    with pytest.raises(RecordingRefused, match="sound like speech"):
        vox.voices.add("noise", path, own=True)
    made = vox.voices.add("noise", path, own=True, force=True)
    assert any("sound like speech" in warning for warning in made.warnings)


def test_an_expired_voice_is_refused(vox: Ledger, speech: Path) -> None:
    end = datetime.now(UTC) + timedelta(seconds=5)
    made = vox.voices.add("bob", speech, own=True, expires=end)
    assert vox.voices.resolve("bob").expires == end
    with vox.journal.transaction() as write:  # the end of consent draws near
        write.connection.execute("UPDATE voices SET expires = 1000000")
    for refused in (lambda: vox.voices.resolve("bob"), lambda: vox.voices.check(made.sha256)):
        with pytest.raises(ConsentEnded, match="expired: consent ended on 1970-01-01") as error:
            refused()
        assert error.value.failure_class == "voice_withdrawn"
    assert vox.voices.show("bob").state == "expired"
