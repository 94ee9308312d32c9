"""Recordings that nobody should trust: each is one clear error, and nothing is kept of it."""

from __future__ import annotations

import ctypes
import os
import random
import struct
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from tests.soak import count, told_of_soak
from tests.synth.conftest import RATE
from voxledger.catalog import DiskFull
from voxledger.ledger import Ledger
from voxledger.synth.errors import RecordingRefused
from voxledger.synth.voices import decoding, intake
from voxledger.synth.voices.checks import judge
from voxledger.synth.voices.foreign import measure_foreign

Make = Callable[[Path, Path], object]


def _header(path: Path, *, rate: int = 24_000, channels: int = 1, size: int = 2_000_000) -> None:
    """A WAV of silence, whose samples take no room on the disk."""
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 1, rate, 0, "NONE", ""))
        file.writeframes(b"\x80")
    with path.open("r+b") as raw:
        raw.seek(4)
        raw.write(struct.pack("<I", 36 + size))
        raw.seek(40)
        raw.write(struct.pack("<I", size))
        raw.truncate(44 + size)


def _cut(path: Path, speech: Path) -> None:
    whole = speech.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _cut_flac(path: Path, speech: Path) -> None:
    samples, rate = soundfile.read(speech)
    soundfile.write(path, samples, rate, format="FLAC")
    os.truncate(path, path.stat().st_size // 2)


def _bomb(path: Path, _: Path, *, told: bool = True) -> None:
    """Eleven minutes of silence in a few kilobytes, with their number of samples told or not."""
    with soundfile.SoundFile(path, "w", 48_000, 1, format="FLAC") as file:
        for _minute in range(11):
            file.write(np.zeros(48_000 * 60, np.int16))
    assert path.stat().st_size < 500_000
    if not told:
        content = bytearray(path.read_bytes())
        content[21] &= 0xF0  # the 36 bits of STREAMINFO that hold it (RFC 9639, section 8.2)
        content[22:26] = bytes(4)
        path.write_bytes(content)


def _samples(path: Path, values: object) -> None:
    soundfile.write(path, np.asarray(values, np.float32), RATE, format="WAV", subtype="FLOAT")


def _with(value: float) -> Make:
    def make(path: Path, speech: Path) -> None:
        samples = soundfile.read(speech, dtype="float32")[0]
        samples[1000] = value
        _samples(path, samples)

    return make


def _loop(path: Path, _: Path) -> None:
    path.symlink_to(path)


def _tone(path: Path, _: Path) -> None:
    _samples(path, 0.3 * np.sin(2 * np.pi * 220 * np.arange(3 * RATE) / RATE))


def _hum(path: Path, _: Path) -> None:
    draw = np.random.default_rng(2)
    _samples(path, 0.3 * np.sin(2 * np.pi * 50 * np.arange(3 * RATE) / RATE) + draw.normal(0, 0.003, 3 * RATE))


def _clipped(path: Path, speech: Path) -> None:
    _samples(path, np.clip(30 * soundfile.read(speech)[0], -1, 1))


BAD: list[tuple[str, Make, str]] = [
    ("nothing at all", lambda path, speech: path.touch(), "is empty"),
    ("no such file", lambda path, speech: None, "no such file"),
    ("a text", lambda path, speech: path.write_text("RIFF is a mountain range. " * 50), "no recording that can be read"),
    ("an M4A", lambda path, speech: path.write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(4000)), "ffmpeg"),
    ("a broken MP3", lambda path, speech: path.write_bytes(b"ID3\4\0\0\0\0\0\0" + b"\xff\xfb\x90\x00" * 9), "ffmpeg"),
    ("half a WAV", _cut, "ends before it should"),
    ("half a FLAC", _cut_flac, "damaged|ends before it should"),
    ("three hours", lambda path, speech: _header(path, rate=8_000, size=3 * 3600 * 8_000), "it lasts 10,800 s, longer than 10 minutes"),
    ("a bomb", _bomb, "longer than 10 minutes"),
    ("a bomb that does not say so", lambda path, speech: _bomb(path, speech, told=False), "longer than 10 minutes"),
    ("eight channels", lambda path, speech: _header(path, channels=8), "it has 8 channels, more than 2"),
    ("1 Hz", lambda path, speech: _header(path, rate=1, size=5), "sample rate, 1 Hz, lies outside"),
    ("1 MHz", lambda path, speech: _header(path, rate=1_000_000), "sample rate, 1,000,000 Hz, lies outside"),
    ("too many samples", lambda path, speech: _header(path, rate=192_000, size=30_000_001), "samples a channel, more than 30,000,000"),
    ("too many bytes", lambda path, speech: _header(path, size=200_000_001), "more than 200 MB"),
    ("NaN", _with(float("nan")), "no numbers"),
    ("infinity", _with(float("inf")), "no numbers"),
    ("a folder", lambda path, speech: path.mkdir(), "is a folder"),
    ("a pipe", lambda path, speech: os.mkfifo(path), "no regular file"),
    ("a device", lambda path, speech: path.symlink_to("/dev/zero"), "no regular file"),
    ("a circle of links", _loop, "lead in a circle"),
    ("silence", lambda path, speech: _samples(path, np.zeros(3 * RATE)), "silent"),
    ("a moment", lambda path, speech: _samples(path, 0.1 * np.ones(100)), "it lasts 0.00 s"),
    ("no samples", lambda path, speech: _samples(path, []), "no sound at all"),
    ("a tone", _tone, "sound like speech"),
    ("hum", _hum, "sound like speech"),
    ("clipped", _clipped, "are clipped"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), [pytest.param(*rest, id=name) for name, *rest in BAD])
def test_a_bad_recording_is_one_clear_error_and_leaves_nothing(
    vox: Ledger, speech: Path, tmp_path: Path, make: Make, message: str
) -> None:
    path = tmp_path / "bad.wav"
    make(path, speech)
    before = time.monotonic()
    with pytest.raises(RecordingRefused, match=message) as error:
        vox.voices.add("bob", path, own=True)
    assert time.monotonic() - before < 10
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert vox.journal.head() == 0
    assert list(vox.home.voices.rglob("*")) == []


def test_a_name_with_a_nul_is_refused(vox: Ledger) -> None:
    with pytest.raises(RecordingRefused, match="NUL"):
        vox.voices.add("bob", "a\0b.wav", own=True)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_file_that_others_may_not_read_is_refused(vox: Ledger, speech: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(speech.read_bytes())
    secret.chmod(0o600)
    os.seteuid(65534)
    try:
        with pytest.raises(RecordingRefused, match="may not read it"):
            intake.content_hash(secret)
    finally:
        os.seteuid(0)


def test_a_file_that_changes_while_it_is_read_is_refused(
    vox: Ledger, another: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grows(file: object) -> None:
        with another.open("ab") as more:
            more.write(b"more")

    monkeypatch.setattr(intake.platform, "fsync_file", grows)
    with pytest.raises(RecordingRefused, match="changed while it was read"):
        vox.voices.add("bob", another, own=True)


def test_a_full_disk_is_said_and_nothing_is_left(vox: Ledger, speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(intake.platform, "fsync_file", full)
        with pytest.raises(DiskFull, match="Nothing was registered"):
            vox.voices.add("bob", speech, own=True)
    assert list(vox.home.voices.rglob("*")) == []
    vox.voices.add("bob", speech, own=True)


DECODERS = [
    ("hangs", "import time\nwhile True: time.sleep(1)", "did not end within"),
    ("dies", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", r"died of it \(signal 11\)"),
    ("fails", "raise SystemExit(3)", "failed at it"),
    ("says nothing", "", "failed at it"),
    ("babbles", "import sys\nopen(sys.argv[1] + '/measured.json', 'w').write('{\"frames\": ' + '9' * 99999)", "failed at it"),
    ("lies", "import sys\nopen(sys.argv[1] + '/measured.json', 'w').write('{\"refused\": \"\\\\u001b[2J\", \"detail\": \"\\\\u001b[2J\"}')",
     "no recording that can be read"),
    ("writes elsewhere", "import sys, os\nos.symlink('/etc/passwd', sys.argv[1] + '/measured.json')", "failed at it"),
]  # fmt: skip


@pytest.mark.parametrize(("program", "message"), [pytest.param(*rest, id=name) for name, *rest in DECODERS])
def test_a_decoder_that_was_taken_over_harms_nobody(
    vox: Ledger, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    other = tmp_path / "decoder.py"
    other.write_text(program)
    monkeypatch.setattr(decoding, "PROGRAM", other)
    monkeypatch.setattr(decoding, "DEADLINE_S", 1.0)
    with pytest.raises(RecordingRefused, match=message) as error:
        vox.voices.add("bob", speech, own=True)
    assert "\x1b" not in str(error.value)
    assert list(vox.home.voices.rglob("*")) == []


def _has_landlock() -> bool:
    return sys.platform == "linux" and ctypes.CDLL(None).syscall(444, None, 0, 1) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits of processes are Linux's")
@pytest.mark.parametrize(
    ("greed", "message"),
    [
        ("bytearray(4_000_000_000)", "more memory than a recording may"),
        ("open(os.path.join(folder, 'mono.f32'), 'wb').write(bytes(200_000_000))", "signal 25|failed"),
    ],
)
def test_what_the_decoder_takes_is_limited(
    vox: Ledger, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greed: str, message: str
) -> None:
    """The program as it is, but a recording makes it ask for too much."""
    program = decoding.PROGRAM.read_text(encoding="utf-8")
    assert program.count('    path = folder / "recording"') == 1
    other = tmp_path / "decoder.py"
    other.write_text(
        program.replace("    import soundfile\n\n    path =", f"    import soundfile\n\n    {greed}\n    path =")
    )
    monkeypatch.setattr(decoding, "PROGRAM", other)
    with pytest.raises(RecordingRefused, match=message):
        vox.voices.add("bob", speech, own=True)


@pytest.mark.skipif(not _has_landlock(), reason="this kernel knows no Landlock")
@pytest.mark.parametrize(
    "prying", ["open(os.path.join(folder, '../../vault.sqlite'), 'rb')", "os.listdir('/')", "open('/tmp/out', 'w')"]
)
def test_the_decoder_reaches_nothing_but_its_folder(
    vox: Ledger, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prying: str
) -> None:
    """The program as it is, but a recording has taken it over."""
    program = decoding.PROGRAM.read_text(encoding="utf-8")
    other = tmp_path / "decoder.py"
    for harmless, message in (("os.path.exists(folder)", None), (prying, "failed at it")):
        other.write_text(
            program.replace('    path = folder / "recording"', f'    {harmless}\n    path = folder / "recording"')
        )
        monkeypatch.setattr(decoding, "PROGRAM", other)
        if message is None:
            vox.voices.add("bob", speech, own=True)
        else:
            with pytest.raises(RecordingRefused, match=message):
                vox.voices.add("bob", speech, own=True)


def test_the_decoder_sees_no_keys_of_this_process(
    vox: Ledger, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
    other = tmp_path / "decoder.py"
    other.write_text(
        "import json, os, sys\nopen(sys.argv[1] + '/measured.json', 'w').write(json.dumps("
        "{'refused': 'unreadable', 'detail': ' '.join(sorted(os.environ))}))"
    )
    monkeypatch.setattr(decoding, "PROGRAM", other)
    with pytest.raises(RecordingRefused) as error:
        vox.voices.add("bob", speech, own=True)
    assert "OMP_NUM_THREADS" in str(error.value)
    assert "AWS" not in str(error.value)


@pytest.mark.parametrize("name", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_a_file_with_any_bytes_changed_is_taken_or_refused(
    voice: npt.NDArray[np.float32], tmp_path: Path, name: str
) -> None:
    """Whatever stands in it: what comes back is within its bounds, or one error."""
    draw = random.Random(name)
    whole = tmp_path / "whole"
    soundfile.write(whole, voice[: 2 * RATE], RATE, format=name)
    taken, refused = 0, []
    for _ in range(count(60)):
        content = bytearray(whole.read_bytes())
        for _ in range(draw.randrange(1, 6)):
            place = draw.randrange(len(content)) if draw.random() < 0.3 else draw.randrange(min(64, len(content)))
            content[place] = draw.randrange(256)
        if draw.random() < 0.2:
            del content[draw.randrange(len(content)) :]
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        (folder / "recording").write_bytes(content)
        try:
            found = decoding.measured(folder, whole)
        except RecordingRefused as error:
            refused.append(str(error))
        else:
            taken += 1
            assert (folder / "mono.f32").stat().st_size == 4 * found.frames
            judge(found)
    assert all(message.isprintable() and "the decoder" not in message for message in refused)
    told_of_soak(f"changed {name} recordings", taken=taken, refused=len(refused))


# What is only measured


def test_a_file_from_anywhere_is_measured_in_a_child_process_or_not_at_all(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = measure_foreign(speech)
    assert found is not None
    assert found.duration_s == pytest.approx(soundfile.info(speech).duration, abs=0.001)
    assert found.loudness_lufs is not None
    odd = tmp_path / "odd.wav"
    odd.write_bytes(b"this is no sound" * 100)
    assert measure_foreign(odd) is None
    _bomb(odd, speech)
    assert measure_foreign(odd) is None
    os.truncate(odd, intake.MOST_BYTES + 1)
    monkeypatch.setattr("shutil.copyfile", lambda *_: pytest.fail("it is copied"))
    assert measure_foreign(odd) is None
