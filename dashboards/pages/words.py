"""Words: what the pages say, in the languages that they speak. The English sentence is the key.

Templates say `{{ _("Clips") }}`, `{{ ngettext("%(num)s clip", "%(num)s clips", n) }}` or `{% trans %}`; modules say `later("Clips")` for
what a template translates, or `say("…")`; scripts say `say("…")` with the function of `app.js`. A test collects every sentence of them and
wants its Chinese in `words/zh/`, one file a page.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from importlib.resources import files
from types import MappingProxyType

LANGUAGES: Mapping[str, str] = MappingProxyType({"en": "English", "zh": "中文"})
"""What the pages speak, each by its own name."""
SPOKEN: ContextVar[str] = ContextVar("spoken", default="en")
"""The language of whoever asks; `page.Page` sets it while it renders."""
TAGS: Mapping[str, str] = MappingProxyType({"en": "en", "zh": "zh-Hans"})
"""As HTML names them (BCP 47)."""


def read(language: str) -> dict[str, str]:
    """All sentences of a language by their English. Raises ValueError where two files disagree."""
    found: dict[str, str] = {}
    for name, words in in_files(language):
        for english, said in words.items():
            if found.setdefault(english, said) != said:
                raise ValueError(f"words/{language}/{name} says {english!r} in another way than a file before it")
    return found


def in_files(language: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The files of a language, each with its sentences."""
    folder = files("voxledger.dashboards.pages") / "words" / language
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            yield file.name, tomllib.loads(file.read_text(encoding="utf-8"))


WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "en": {}, "zh": {english: said for _, words in in_files("zh") for english, said in words.items()},
})  # fmt: skip
"""What is said. That no two files disagree is for the tests: a page that says a word in one of two ways is better than no page."""


def later(english: str) -> str:
    """Marks a sentence that is translated where it is shown."""
    return english


def say(english: str) -> str:
    """A sentence in the language of whoever asks."""
    return WORDS[SPOKEN.get()].get(english, english)


def say_many(one: str, many: str, number: int) -> str:
    """The same of a sentence with a number, `%(num)s`. Chinese has one form; it stands under the English singular."""
    if SPOKEN.get() == "en":
        return one if number == 1 else many
    return WORDS[SPOKEN.get()].get(one, one if number == 1 else many)


def preferred(cookie: str | None, accepted: str | None) -> str:
    """The language for a cookie, which somebody chose, and an `Accept-Language` (RFC 9110, 12.5.4)."""
    if cookie in LANGUAGES:
        return str(cookie)
    wishes: list[tuple[float, int, str]] = []
    for place, wish in enumerate((accepted or "").split(",")[:20]):
        tag, _, parameter = wish.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        language = tag.strip().lower().partition("-")[0]
        if language in LANGUAGES and weight > 0:
            wishes.append((-weight, place, language))
    return min(wishes)[2] if wishes else "en"
