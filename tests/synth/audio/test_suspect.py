"""Which clips are suspect, and that what an engine really says is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from voxledger.synth.audio import REASONS, AudioMeasures, measure, process, speech_rate, suspects
from voxledger.synth.engines.base import SynthesisRequest
from voxledger.synth.engines.espeak import EspeakEngine

RATE = 22_050
SENTENCE = "The ship will be here in twenty minutes, and nobody has told the pilot."
SPOKEN = [
    ("en", SENTENCE),
    ("en", "Hi."),
    ("en", "I"),
    ("en", "NATO, USA, BBC, HTTP and WWW."),
    ("en", "https://www.example.com/a/b?c=d"),
    ("en", "1,000,000 people paid $3.99 in 1998."),
    ("en", "No. No. No. No. Yes. A. B. C."),
    ("en", "😀😀😀"),
    ("de", "777.777,77 €"),
    ("fr", "Beaucoup de gens pensaient que c'était vrai."),
    ("vi", "Xin chào, hôm nay thời tiết rất đẹp."),
    ("ru", "Здравствуйте, как поживаете сегодня?"),
    ("ar", "فكلُّها خياراتٌ اتَّخذتَها بنفسِك"),
    ("he", "שלום עולם, מה שלומך היום?"),
    ("hi", "नमस्ते, आप कैसे हैं? आज मौसम बहुत अच्छा है।"),
    ("th", "สวัสดีครับ วันนี้อากาศดีมาก"),
    ("ko", "안녕하세요, 오늘 날씨가 좋네요."),
    ("zh", "第三句使用 JSON array 格式的情感向量。"),
    ("ja", "承る"),
    ("ja", "翻訳ツールのおかげで外国のサイトもよく見るようになった。"),
]


@pytest.fixture(scope="module")
def engine():
    engine = EspeakEngine()
    yield engine
    engine.close()


def measures(duration_s=4.0, silence_share=0.1, **others):
    usual = {"loudness_lufs": -16.0, "true_peak_dbtp": -1.0, "sample_peak_dbfs": -1.1, "clipped_samples": 0}
    return AudioMeasures(duration_s=duration_s, silence_share=silence_share, **(usual | others))


def found_in(engine, language, text, speed):
    segments = list(engine.synthesize(SynthesisRequest(text=text, language=language, sampling={"speed": speed})))
    made = process(segments, segments[0].sample_rate)
    return suspects(made.measures, text=text, language=language, clipped_at_source=made.clipped_at_source, speed=speed)


@pytest.mark.parametrize(("language", "text"), SPOKEN)
def test_what_an_engine_says_is_not_suspect(engine, language, text):
    assert [found_in(engine, language, text, speed) for speed in (0.5, 1.0, 2.5)] == [(), (), ()]


def test_the_cases_of_indextts_users_are_not_suspect(engine):
    table = Path(__file__).parents[4] / "shared" / "data" / "indextts" / "cases.jsonl"
    if not table.is_file():
        pytest.skip("the table is not in this checkout")
    for line in table.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        assert found_in(engine, case["lang"].lower(), case["text"], 1.0) == (), case["text"]


@pytest.mark.parametrize(("language", "text"), [case for case in SPOKEN if sum(map(str.isalpha, case[1])) > 16])
def test_a_sentence_cut_off_after_its_first_sound_is_too_short(language, text):
    assert suspects(measures(0.25), text=text, language=language) == ("too_short",)


@pytest.mark.parametrize(("language", "text"), SPOKEN)
def test_a_voice_that_does_not_stop_is_too_long(language, text):
    assert suspects(measures(120.0), text=text, language=language) == ("too_long",)


def test_expected_length_follows_the_speed_that_was_asked_for():
    slow = measures(26.0)
    assert suspects(slow, text=SENTENCE, language="en") == ("too_long",)
    assert suspects(slow, text=SENTENCE, language="en", speed=0.5) == ()
    fast = measures(1.2)
    assert suspects(fast, text=SENTENCE, language="en") == ("too_short",)
    assert suspects(fast, text=SENTENCE, language="en", speed=2.5) == ()


def test_silence_is_the_only_reason_of_a_silent_clip():
    silent = measure(torch.zeros(RATE), RATE)
    assert suspects(silent, text=SENTENCE, language="en") == ("silent",)
    assert suspects(measures(loudness_lufs=-75.0), text=SENTENCE, language="en") == ("silent",)


def test_clipping_counts_in_engine_and_file_but_not_single_peaks():
    assert suspects(measures(), text=SENTENCE, language="en", clipped_at_source=60) == ()
    assert suspects(measures(), text=SENTENCE, language="en", clipped_at_source=600) == ("clipped",)
    assert suspects(measures(clipped_samples=600), text=SENTENCE, language="en") == ("clipped",)


def test_a_driven_waveform_is_clipped(signals):
    made = process(np.clip(signals.speech(4, RATE, peak=3.0), -1, 1), RATE)
    assert "clipped" in suspects(made.measures, text=SENTENCE, language="en", clipped_at_source=made.clipped_at_source)


def test_silence_that_no_punctuation_explains_is_suspect():
    quiet = measures(12.0, silence_share=0.7)
    assert suspects(quiet, text=SENTENCE, language="en") == ("mostly_silence",)
    assert suspects(quiet, text="One. Two. Three. Four. Five. Six.", language="en") == ()


def test_reasons_come_out_of_the_documented_set_in_its_order():
    found = suspects(measures(200.0, silence_share=0.7), text="Hi", language="en", clipped_at_source=10**6)
    assert found == ("clipped", "too_long", "mostly_silence")
    assert set(found) <= set(REASONS)


@pytest.mark.parametrize(
    ("text", "letters"), [("Hello, world!", 10), ("नमस्ते", 4), ("第3句。", 3), ("café", 4), ("...", 0)]
)
def test_speech_rate_counts_letters_and_digits_in_what_is_not_silence(text, letters):
    assert speech_rate(text, measures(4.0, silence_share=0.5)) == pytest.approx(letters / 2)


def test_silence_has_no_speech_rate():
    assert speech_rate("Hello", measure(torch.zeros(RATE), RATE)) is None
