"""Files: what is in them, and that equal samples make equal bytes."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxledger.synth.audio import FORMATS, encode, measure, process, reading
from voxledger.synth.audio.ogg import with_serial
from voxledger.synth.errors import AudioFailed, UnsupportedFormat

RATES = (16_000, 22_050, 24_000, 44_100, 48_000)


@pytest.fixture(scope="module")
def clip(signals):
    return process(signals.speech(3, 22_050, seed=5), 22_050)


def decoded(encoded):
    with reading(io.BytesIO(encoded.data), format_name=encoded.format.name, sample_rate=encoded.sample_rate) as file:
        return file.read(dtype="float64"), file.samplerate


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", FORMATS)
def test_file_holds_the_clip(signals, name, rate):
    samples = process(signals.speech(1.5, rate), rate).samples
    encoded = encode(samples, rate, name)
    read, read_rate = decoded(encoded)
    assert read_rate == encoded.sample_rate == FORMATS[name].rate_for(rate)
    assert read.ndim == encoded.channels == 1
    # An ADTS file does not say where its last frame ends to sound.
    assert 0 <= len(read) - encoded.frames < (1024 if name == "aac" else 1)
    assert encoded.duration_us == pytest.approx(len(samples) / rate * 1e6, abs=1e6 / encoded.sample_rate)
    assert encoded.size == len(encoded.data)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("target_lufs", [-23.0, -16.0])
def test_delivered_file_has_the_loudness_and_the_peak_it_should_have(signals, name, target_lufs):
    audio_format = FORMATS[name]
    done = process(
        signals.speech(4, 22_050, seed=6), 22_050, target_rate=audio_format.rate_for(22_050), target_lufs=target_lufs
    )
    read, rate = decoded(encode(done.samples, done.sample_rate, name))
    found = measure(torch.from_numpy(read), rate)
    assert found.loudness_lufs == pytest.approx(target_lufs, abs=0.25)
    assert found.clipped_samples == 0
    if audio_format.lossy:
        assert found.true_peak_dbtp <= -0.3
    else:
        assert found == done.measures
        assert found.true_peak_dbtp <= -1


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if not each.lossy])
def test_lossless_file_holds_exactly_the_samples(clip, name):
    assert np.array_equal(decoded(encode(clip.samples, clip.sample_rate, name))[0], clip.samples)


def test_rates_a_format_cannot_hold_become_ones_it_can():
    assert [FORMATS["opus"].rate_for(rate) for rate in (8_000, 22_050, 24_000, 44_100)] == [
        8_000,
        48_000,
        24_000,
        48_000,
    ]
    assert [FORMATS["mp3"].rate_for(rate) for rate in (22_050, 23_000, 96_000)] == [22_050, 24_000, 48_000]
    assert FORMATS["wav"].rate_for(22_051) == 22_051


@settings(deadline=None)
@given(frames=st.integers(1, 3000), rate=st.sampled_from([8_000, 11_025, 22_050, 44_100]))
def test_duration_is_whole_microseconds_of_whole_frames(frames, rate):
    encoded = encode(np.zeros(frames, np.float32), rate, "wav")
    assert isinstance(encoded.duration_us, int)
    assert encoded.duration_us == round(frames * 1_000_000 / rate)


@pytest.mark.parametrize("name", FORMATS)
def test_equal_samples_make_equal_bytes(clip, name):
    first = encode(clip.samples, clip.sample_rate, name)
    with ThreadPoolExecutor(4) as pool:
        others = list(pool.map(lambda _: encode(clip.samples.copy(), clip.sample_rate, name).data, range(4)))
    assert set(others) == {first.data}


def test_different_clips_get_different_ogg_serials(clip):
    serials = {encode(clip.samples[start:], clip.sample_rate, "opus").data[14:18] for start in (0, 100, 200)}
    assert len(serials) == 3


def test_checksum_of_an_ogg_page_is_the_one_libogg_writes(clip):
    buffer = io.BytesIO()
    soundfile.write(buffer, clip.samples, 24_000, format="OGG", subtype="OPUS")
    original = buffer.getvalue()
    renumbered = with_serial(original, 7)
    assert renumbered != original
    assert with_serial(renumbered, int.from_bytes(original[14:18], "little")) == original


@pytest.mark.parametrize("broken", [b"OggS", b"RIFF" + bytes(60), b"OggS" + bytes(22) + b"\x02\xff\xff"])
def test_broken_ogg_is_refused(broken):
    with pytest.raises(AudioFailed, match="broken Ogg page at byte 0"):
        with_serial(broken, 1)


def test_raw_pcm_is_the_samples_and_nothing_else(clip):
    data = encode(clip.samples, clip.sample_rate, "pcm").data
    assert np.array_equal(np.frombuffer(data, "<i2") / np.float32(32768), clip.samples)


def test_raw_pcm_is_not_read_without_its_rate(tmp_path):
    (tmp_path / "clip.pcm").write_bytes(bytes(10))
    with pytest.raises(AudioFailed, match="does not say its sample rate"):
        reading(tmp_path / "clip.pcm")


def test_what_is_no_audio_is_not_read(tmp_path):
    (tmp_path / "clip.wav").write_bytes(b"something else entirely")
    with pytest.raises(AudioFailed, match=r"clip\.wav cannot be read as audio"):
        reading(tmp_path / "clip.wav")


def test_samples_beyond_full_scale_saturate():
    read, _ = decoded(encode(np.array([2.0, -2.0, 0.5]), 24_000, "wav"))
    assert read.tolist() == [32767 / 32768, -1.0, 0.5]


def test_format_names_ignore_case():
    assert encode(np.zeros(10), 24_000, "WAV").format is FORMATS["wav"]


@pytest.mark.parametrize("name", ["wma", "", "wav "])
def test_unknown_format_names_the_known_ones(name):
    with pytest.raises(UnsupportedFormat, match="wav, flac, opus, mp3"):
        encode(np.zeros(10), 24_000, name)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((2, 10)), np.array([0.0, np.nan])])
def test_samples_no_file_can_hold_are_refused(samples):
    with pytest.raises(AudioFailed, match="mono samples"):
        encode(samples, 24_000, "flac")


def test_a_rate_libsndfile_refuses_is_an_audio_error():
    with pytest.raises(AudioFailed, match="flac at 700000 Hz"):
        encode(np.zeros(10), 700_000, "flac")


@pytest.mark.parametrize("name", FORMATS)
def test_one_sample_makes_a_file(name):
    assert 1 <= len(decoded(encode(np.array([0.5]), 24_000, name))[0]) <= (1024 if name == "aac" else 1)
