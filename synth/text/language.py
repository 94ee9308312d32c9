"""Languages: BCP 47 tags as people write them, the nearest one an engine has, and a guess from the text itself.

Tags follow RFC 5646 (https://www.rfc-editor.org/rfc/rfc5646): syntax and letter case are checked and put right, the
IANA registry itself is not shipped, so a well-formed tag of no language passes `normalize` and is refused by `match`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from voxledger.synth.errors import UnsupportedLanguage
from voxledger.synth.hints import near

DEFAULT = "en"
"""What `detect` says when the text gives no sign at all."""

_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<extended>[a-z]{3}))?(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?P<variants>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)(?P<rest>(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?)"
)

# The shortest code is the canonical one (RFC 5646 section 4.5); longer and withdrawn ones that people still write.
_CANONICAL = {
    "ara": "ar", "ces": "cs", "chi": "zh", "cze": "cs", "dan": "da", "deu": "de", "dut": "nl", "ell": "el",
    "eng": "en", "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de", "gre": "el", "heb": "he",
    "hin": "hi", "hun": "hu", "in": "id", "ind": "id", "ita": "it", "iw": "he", "ji": "yi", "jpn": "ja",
    "kor": "ko", "nld": "nl", "nor": "no", "per": "fa", "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro",
    "rus": "ru", "spa": "es", "swe": "sv", "tha": "th", "tur": "tr", "ukr": "uk", "vie": "vi", "zho": "zh",
}  # fmt: skip

# Where cutting subtags off the right end would lose the point: the next tags to try, best first.
_FALLBACK = {
    "cmn": ("zh",),
    "nb": ("no",),
    "nn": ("nb", "no"),
    "no": ("nb",),
    "yue": ("zh-HK",),
    "zh": ("cmn",),
    "zh-HK": ("yue",),
    "zh-MO": ("yue",),
}


@lru_cache(maxsize=1024)  # an engine's 150 tags are compared for every clip
def normalize(tag: str) -> str:
    """The canonical form of a tag as a person writes it: `en_us` gives `en-US`, `ZH` gives `zh`, `deu` gives `de`.

    A POSIX locale's codeset and modifier (`en_US.UTF-8`, `de@euro`) are dropped. Raises UnsupportedLanguage for what
    is no well-formed BCP 47 tag.
    """
    found = _TAG.fullmatch(re.split("[.@]", tag.strip())[0].replace("_", "-").lower())
    if found is None:
        raise UnsupportedLanguage(f"{tag!r} is no language tag: write one as in BCP 47, such as 'en', 'pt-BR' or 'zh'")
    language, extended, script, region, variants, rest = found.group(
        "language", "extended", "script", "region", "variants", "rest"
    )
    # An extended language subtag stands for the language itself: zh-cmn is cmn (RFC 5646 section 4.5).
    parts = [extended or _CANONICAL.get(language, language)]
    parts += [script.title()] if script else []
    parts += [region.upper()] if region else []
    return "-".join(parts) + variants + rest


def match(tag: str, supported: Iterable[str]) -> str:
    """The tag among `supported` that serves `tag` best.

    The tag itself; else its subtags cut off from the right (RFC 4647 lookup: en-AU, en), with `zh` and `cmn`, `no` and
    `nb`, Hong Kong and Cantonese standing for each other; else the first regional form of the same language. Raises
    UnsupportedLanguage, naming near tags, if there is none.
    """
    available = {normalize(one).lower(): one for one in supported}
    wanted = normalize(tag)
    for candidate in _candidates(wanted):
        if candidate.lower() in available:
            return available[candidate.lower()]
    language = wanted.split("-")[0].lower()
    regional = sorted(key for key in available if key.startswith(f"{language}-"))
    if regional:
        return available[regional[0]]
    raise UnsupportedLanguage(f"there is no voice for the language {wanted!r} here; {near(wanted, available.values())}")


def _candidates(tag: str) -> Iterator[str]:
    while tag:
        yield tag
        yield from _FALLBACK.get(tag, ())
        tag = tag.rpartition("-")[0].removesuffix("-x")  # a lone private-use marker is no tag


# Scripts by code point, first to last; the language a reader of that script most likely means.
_SCRIPTS = (
    (0x0041, 0x024F, "latin"), (0x0370, 0x03FF, "el"), (0x0400, 0x052F, "cyrillic"), (0x0530, 0x058F, "hy"),
    (0x0590, 0x05FF, "he"), (0x0600, 0x077F, "arabic"), (0x0900, 0x097F, "hi"), (0x0980, 0x09FF, "bn"),
    (0x0A00, 0x0A7F, "pa"), (0x0A80, 0x0AFF, "gu"), (0x0B00, 0x0B7F, "or"), (0x0B80, 0x0BFF, "ta"),
    (0x0C00, 0x0C7F, "te"), (0x0C80, 0x0CFF, "kn"), (0x0D00, 0x0D7F, "ml"), (0x0D80, 0x0DFF, "si"),
    (0x0E00, 0x0E7F, "th"), (0x1000, 0x109F, "my"), (0x10A0, 0x10FF, "ka"), (0x1100, 0x11FF, "ko"),
    (0x1200, 0x139F, "am"), (0x13A0, 0x13FF, "chr"), (0x1E00, 0x1EFF, "latin"), (0x1F00, 0x1FFF, "el"),
    (0x3040, 0x30FF, "kana"), (0x3130, 0x318F, "ko"), (0x31F0, 0x31FF, "kana"), (0x3400, 0x9FFF, "han"),
    (0xAC00, 0xD7A3, "ko"), (0xF900, 0xFAFF, "han"), (0xFB1D, 0xFB4F, "he"), (0xFB50, 0xFDFF, "arabic"),
    (0xFE70, 0xFEFC, "arabic"), (0xFF66, 0xFF9F, "kana"), (0x20000, 0x323AF, "han"),
)  # fmt: skip

_CYRILLIC = {"uk": "іїєґ", "be": "ў", "sr": "јљњћђџ"}
_ARABIC = {"ur": "ٹڈڑںھے", "fa": "پچژگی"}

# The commonest function words and the letters that others lack; a letter counts as two words.
_LATIN_WORDS = {
    "en": "the and of to is in that it was for with you are this not have be on at by from they we she he his her",
    "es": (
        "el la los las de que y en un una es por con para se del al lo su como está pero más sus muy yo "
        "hay hola buenos gracias cuando donde mi te"
    ),
    "de": (
        "der die das und ist nicht ein eine ich zu den mit von auf im für sich dem des auch es wir sie "
        "er aber hat guten morgen hallo danke wie wo geht dir mir mich dich kein ja nein heute noch "
        "schon bitte wird sind"
    ),
    "fr": (
        "le la les des et est un une que qui dans pour pas sur au ce il elle nous vous je ne du avec "
        "sont mais ou bonjour merci tu mon ma c j l comme cette fait"
    ),
}
_LATIN_LETTERS = {"es": "ñ¿¡áíóú", "de": "äöüß", "fr": "çèêëîïôùûœàâ"}
_SPEAKERS: dict[str, list[str]] = {}
"""The languages in which a word is common."""
for _language, _words in _LATIN_WORDS.items():
    for _word in set(_words.split()):
        _SPEAKERS.setdefault(_word, []).append(_language)


def detect(text: str) -> str:
    """The language a text is most likely written in: from its script, and for Latin letters from common words.

    The script with the most letters decides (kana and Han count together: any kana makes it `ja`, none `zh`). Cyrillic
    is `ru` unless letters say `uk`, `be` or `sr`; Arabic script is `ar` unless they say `fa` or `ur`. Latin text is
    told apart as `en`, `es`, `de` or `fr` only, others come out as one of these; text without letters is `en`.
    Deterministic, and no more than a guess: Cantonese reads as `zh`, Japanese without kana too, Bulgarian as `ru`.
    """
    counts = Counter(script for script in map(_script, text) if script)
    if not counts:
        return DEFAULT
    asian = counts["han"] + counts["kana"]
    script, most = max(
        ((s, n) for s, n in counts.items() if s not in ("han", "kana")), key=lambda x: x[1], default=("", 0)
    )
    if asian > most:
        return "ja" if counts["kana"] else "zh"
    lowered = text.lower()
    if script == "cyrillic":
        return _by_letters(lowered, _CYRILLIC, "ru")
    if script == "arabic":
        return _by_letters(lowered, _ARABIC, "ar")
    return _latin(lowered) if script == "latin" else script


@lru_cache(4096)
def _script(character: str) -> str | None:
    if not character.isalpha():
        return None
    code = ord(character)
    return next((script for first, last, script in _SCRIPTS if first <= code <= last), None)


def _by_letters(text: str, letters: dict[str, str], otherwise: str) -> str:
    found = {language: sum(map(text.count, own)) for language, own in letters.items()}
    best = max(found, key=lambda language: found[language])
    return best if found[best] else otherwise


def _latin(text: str) -> str:
    score = dict.fromkeys(_LATIN_WORDS, 0)
    for word in re.findall(r"[^\W\d_]+", text):
        for language in _SPEAKERS.get(word, ()):
            score[language] += 1
    for language, letters in _LATIN_LETTERS.items():
        score[language] += 2 * sum(map(text.count, letters))
    best = max(score, key=lambda language: score[language])  # of equals the first: English
    return best if score[best] else DEFAULT
