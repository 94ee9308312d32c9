"""What a sound file says of itself, read without decoding it, from files that nobody vouches for."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalog.reconcile.worlds import sound
from voxledger.catalog.reconcile.headers import Sound, Unreadable, read_header

KINDS = {
    "wav": ("WAV", "PCM_16", "wav"),
    "float.wav": ("WAV", "FLOAT", "wav"),
    "wavex.wav": ("WAVEX", "PCM_24", "wav"),
    "rf64.wav": ("RF64", "PCM_16", "wav"),
    "flac": ("FLAC", "PCM_16", "flac"),
    "ogg": ("OGG", "VORBIS", "ogg"),
    "opus": ("OGG", "OPUS", "opus"),
    "mp3": ("MP3", "MPEG_LAYER_III", "mp3"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_headers_say_what_libsndfile_says(tmp_path: Path, kind: str, channels: int, rate: int) -> None:
    container, codec, name = KINDS[kind]
    path = tmp_path / f"x.{kind}"
    samples = np.random.default_rng(1).normal(0, 0.1, (rate * 3 // 2, channels))
    soundfile.write(path, samples, rate, format=container, subtype=codec)
    found, told = read_header(path), soundfile.info(str(path))
    assert (found.format, found.sample_rate, found.channels) == (name, rate, channels)
    # Some MP3 decoders count the encoder's padding, some do not.
    assert found.duration_us == pytest.approx(told.frames / told.samplerate * 1e6, abs=80_000 if name == "mp3" else 1)


def test_a_wav_that_was_written_into_a_pipe_is_as_long_as_its_file(tmp_path: Path) -> None:
    content = bytearray(sound(frames=2400))
    for unknown in (0xFFFFFFFF, 0x7FFFFFFF):
        content[40:44] = struct.pack("<I", unknown)
        path = tmp_path / "x.wav"
        path.write_bytes(content)
        assert read_header(path) == Sound("wav", 24_000, 1, 100_000)


def test_an_mp3_behind_a_picture_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    soundfile.write(path, np.zeros(24_000), 24_000, format="MP3")
    tag = b"ID3\x04\x00\x00" + bytes((0, 8, 0, 0)) + b"\xff\xfb" * 65_536
    path.write_bytes(tag[: 10 + (8 << 14)] + path.read_bytes())
    assert read_header(path).format == "mp3"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"RIFF", "too short"),
        (b"hello, this is text", "no WAV"),
        (b"RIFF\x00\x00\x00\x00WAVE", "without sound"),
        (sound()[:44], "no sound"),
        (b"fLaC" + bytes(60), "header"),
        (b"OggS" + bytes(60), "neither Opus nor Vorbis"),
        (b"ID3\x04" + bytes(100), "no MP3"),
        (b"\xff\xfb\x90\x00" * 3, "no sound"),
    ],
)
def test_what_is_no_sound_is_refused_in_words(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=why):
        read_header(path)


@given(
    start=st.sampled_from(
        [b"", b"RIFF\x00\x00\x00\x00WAVE", b"RIFF\x00\x00\x00\x00WAVEfmt ", b"fLaC", b"OggS", b"ID3", b"\xff\xfb"]
    ),
    rest=st.binary(max_size=400),
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_a_sound_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(start + rest)
    try:
        found = read_header(path)
    except Unreadable:
        return
    assert found.duration_us > 0
    assert found.channels > 0
