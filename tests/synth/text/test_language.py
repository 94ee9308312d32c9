"""Language tags and guesses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxledger.synth.errors import UnsupportedLanguage
from voxledger.synth.text.language import detect, match, normalize


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("en", "en"), ("ZH", "zh"), ("en_us", "en-US"), ("PT-br", "pt-BR"), ("es-419", "es-419"), (" fr ", "fr"),
        ("zh_hant_tw", "zh-Hant-TW"), ("deu", "de"), ("iw", "he"), ("zh-cmn", "cmn"), ("zh-yue-HK", "yue-HK"),
        ("en_US.UTF-8", "en-US"), ("de@euro", "de"), ("en-GB-SCOTLAND", "en-GB-scotland"), ("en-gb-x-RP", "en-GB-x-rp"),
        ("sl-rozaj-1994", "sl-rozaj-1994"),
    ],
)  # fmt: skip
def test_tags_become_canonical(written, canonical):
    assert normalize(written) == canonical
    assert normalize(canonical) == canonical


@pytest.mark.parametrize("nonsense", ["", "e", "english", "en-", "-en", "en--US", "12", "en us", "日本", "en-x", "*"])
def test_nonsense_is_refused_with_advice(nonsense):
    with pytest.raises(UnsupportedLanguage, match="BCP 47"):
        normalize(nonsense)


@given(st.text(max_size=12))
def test_any_text_is_a_tag_or_refused(text):
    with contextlib.suppress(UnsupportedLanguage):
        assert normalize(normalize(text)) == normalize(text)


HERE = ("cmn", "de", "en", "en-GB", "en-US", "es", "es-419", "fr", "nb", "pt", "pt-BR", "yue")


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("en-AU", "en"), ("EN_gb", "en-GB"), ("zh", "cmn"), ("zh-CN", "cmn"), ("zh-Hans", "cmn"), ("zh-HK", "yue"),
        ("yue-HK", "yue"), ("nn-NO", "nb"), ("es-MX", "es"), ("es-419", "es-419"), ("fr-CA-x-joual", "fr"),
    ],
)  # fmt: skip
def test_nearest_tag_serves(asked, served):
    assert match(asked, HERE) == served


def test_only_regional_voices_serve_the_bare_language():
    assert match("en", ["de", "en-US", "en-IN"]) == "en-IN"


def test_unknown_language_names_what_there_is():
    with pytest.raises(UnsupportedLanguage, match=r"'et'.*known are cmn, de, en, .*yue"):
        match("et", HERE)
    with pytest.raises(UnsupportedLanguage, match=r"'fy-CA'.*did you mean 'fr-CA'"):
        match("fy-CA", ["fr-CA", "de"])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The boats are back before the rain.", "en"),
        ("Los barcos vuelven antes de la lluvia y mañana no salen.", "es"),
        ("Die Boote sind vor dem Regen zurück, und morgen fährt keines.", "de"),
        ("Les bateaux sont rentrés avant la pluie, et demain il ne part pas.", "fr"),
        ("船在下雨之前回来了。", "zh"),
        ("雨の前に船が戻りました。", "ja"),
        ("カタカナ", "ja"),
        ("배가 비 오기 전에 돌아왔다.", "ko"),
        ("عادت القوارب قبل المطر", "ar"),
        ("قایق‌ها پیش از باران برگشتند گپ", "fa"),
        ("Лодки вернулись до дождя.", "ru"),
        ("Човни повернулися ще до дощу, її нема.", "uk"),
        ("Οι βάρκες γύρισαν πριν τη βροχή.", "el"),
        ("הסירות חזרו לפני הגשם", "he"),
        ("नावें बारिश से पहले लौट आईं।", "hi"),
        ("เรือกลับมาก่อนฝน", "th"),
        ("படகுகள் திரும்பின", "ta"),
        ("The word ありがとう means thank you, and it is used a lot.", "en"),
        ("12345 !?", "en"),
        # What is not known is taken for English, or for whichever of the four has a word or a letter of it.
        ("Ciao!", "en"),
        ("Dzień dobry.", "en"),
        ("Ça va ?", "fr"),
        ("Günaydın.", "de"),
        ("la", "es"),
        ("", "en"),
    ],
)
def test_script_and_words_tell_the_language(text, language):
    assert detect(text) == language


@given(st.text(max_size=60))
def test_a_guess_is_always_a_tag(text):
    assert normalize(detect(text)) == detect(text)
