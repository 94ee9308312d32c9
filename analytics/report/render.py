"""Rendering: a report as one self-contained HTML page, as Markdown, as JSON."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any, TypeAlias

import jinja2
import msgspec
from markupsafe import Markup

from voxledger.analytics import palette
from voxledger.analytics.metrics import METRICS
from voxledger.analytics.report import charts, glyphs, telling, wording
from voxledger.analytics.report.parts import Sample
from voxledger.analytics.report.samples import CONTENT_TYPES, LARGEST, LARGEST_TOTAL
from voxledger.analytics.report.weekly import WeeklyReport

Audio: TypeAlias = Mapping[str, tuple[bytes, str]]
"""Audio by clip id, as bytes and media type."""
CARDS = ("clips", "audio_us", "active_users", "reuse_rate", "saved_us", "failure_rate")
Links: TypeAlias = Mapping[str, str]
"""Short-lived addresses by clip id."""
"""The metrics that open the page, each with a sparkline."""
_MARKDOWN = re.compile(r"([\\`*_\[\]<>&|#~!$])")
_WIDE = 72
"""Columns of plain text, so that quoted it still fits where lines have 80."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


class Player(msgspec.Struct, frozen=True, kw_only=True):
    """A sample with its audio as a data URI, or the reason why it cannot be played here."""

    sample: Sample
    source: str | None
    reason: str

    @property
    def title(self) -> str:
        """What the clip is called; an automatic name says only language and emotion, and then the text says more."""
        sample = self.sample
        return wording.title(sample.name, sample.text, sample.language, sample.emotion) or "Untitled"

    @property
    def quote(self) -> str | None:
        """The text as far as the title does not already say it."""
        quote = wording.shortened(self.sample.text or "", 240)
        return quote if quote and quote != self.title else None


def render_html(report: WeeklyReport, audio: Audio, links: Links = MappingProxyType({})) -> str:
    """One HTML file that asks nothing of the network and holds no script; audio lies in it as data URIs.

    `links` lead to clips that go next, for whoever wants to hear them; nothing is fetched before somebody follows one.

    A clip of more than `samples.LARGEST` bytes, or beyond `samples.LARGEST_TOTAL` for all of them, is left out, and the
    page says so. Everything that people typed is escaped.
    """
    return _template("weekly.html.j2").render(
        **_content(report),
        players=players(report, audio),
        charts=charts.draw(report),
        cards=[report.headline(name) for name in CARDS],
        colours=palette,
        pairs=palette.chart_pairs(),
        links=links,
    )


def render_markdown(report: WeeklyReport) -> str:
    """The same numbers as Markdown (GitHub's tables), for chats and repositories; without charts and audio."""
    text = _template("weekly.md.j2").render(**_content(report))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def render_mail(report: WeeklyReport) -> str:
    """The same week in short, as HTML that mail programs show: tables, inline styles, nothing to fetch."""
    text = _template("weekly_mail.html.j2").render(**_content(report), colours=palette)
    return re.sub(r"\n{2,}", "\n", text).strip() + "\n"


def render_mail_text(report: WeeklyReport) -> str:
    """The same again as plain text of at most 72 columns."""
    text = _template("weekly_mail.txt.j2").render(**_content(report), fill=_filled, columns=_columns)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def render_schema() -> str:
    """The JSON Schema (draft 2020-12) of what `render_json` writes."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(WeeklyReport)).decode(), indent=2) + "\n"


def render_json(report: WeeklyReport) -> str:
    """The records as indented JSON; `schema` names their form."""
    return msgspec.json.format(msgspec.json.encode(report).decode(), indent=2) + "\n"


def players(report: WeeklyReport, audio: Audio) -> tuple[Player, ...]:
    """The samples in order, each with its audio while there is room in the page."""
    found = []
    room = LARGEST_TOTAL
    for sample in report.samples:
        content, kind = audio.get(sample.clip, (b"", ""))
        known = len(content) or sample.bytes
        source, reason = None, "The audio file is not here any more, or is not what was recorded."
        if known > LARGEST:
            reason = (
                f"Not embedded: {wording.size(known)} is more than the {wording.size(LARGEST)} a clip may have here."
            )
        elif known > room:
            reason = (
                f"Not embedded: the clips of this page would have more than {wording.size(LARGEST_TOTAL)} together."
            )
        elif content and kind in CONTENT_TYPES.values():
            source = f"data:{kind};base64,{base64.b64encode(content).decode()}"
            room -= len(content)
        found.append(Player(sample=sample, source=source, reason=reason))
    return tuple(found)


def _content(report: WeeklyReport) -> dict[str, Any]:
    heard = {row.emotion for row in report.emotions.emotions}
    return {
        "report": report,
        "lead": telling.lead(report),
        "versus": telling.versus(report),
        "tell": telling,
        "unheard": [name for name in palette.EMOTIONS if name not in heard],
        "metric": METRICS,
        "say": wording,
        "moved": partial(telling.moved, report=report),
        "tone": telling.tone,
        "glyphs": glyphs,
    }


@cache
def _template(name: str) -> jinja2.Template:
    """HTML is escaped by Jinja, Markdown as each value is printed; plain text has nothing to escape."""
    html, markdown = name.endswith(".html.j2"), name.endswith(".md.j2")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("voxledger.analytics.report", "."),
        autoescape=html,  # noqa: S701  # Markdown is escaped by `_escaped`
        finalize=_escaped if markdown else None,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _filled(text: str, mark: str = "") -> str:
    """A text in lines of at most 72 columns; with a `mark`, such as `- `, in front of the first."""
    return textwrap.fill(
        _CONTROL.sub(" ", text), _WIDE, initial_indent=mark, subsequent_indent=" " * len(mark), break_on_hyphens=False
    )


def _columns(left: str, middle: str, right: str) -> str:
    """One row of numbers."""
    rest = f"{_CONTROL.sub(' ', wording.shortened(middle, 20)):>14}  {wording.shortened(right, 20):>20}"
    return f"{_CONTROL.sub(' ', wording.shortened(left, _WIDE - 1 - len(rest))):<{_WIDE - len(rest)}}{rest}"


def _escaped(value: object) -> object:
    """A text so that Markdown shows it as it is, in one line."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _MARKDOWN.sub(r"\\\1", _CONTROL.sub(" ", value))
