"""The weekly report as people open it: a page, a text, a document, and their files."""

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.building import Parts
from voxledger.analytics.report import (
    ReportNotWritten,
    Week,
    WeeklyReport,
    build,
    load_audio,
    render_html,
    render_json,
    render_markdown,
    samples,
    wording,
    write,
)
from voxledger.analytics.report.glyphs import rose, sparkline
from voxledger.analytics.report.telling import moved, tone
from voxledger.catalog.events import ClipMarked, GenerationFailed, new_id
from voxledger.catalog.settings import General, Settings

BERLIN = Settings(general=General(time_zone="Europe/Berlin"))
WEEK = Week.parse("2026-W45", "Europe/Berlin")
MONDAY = datetime(2026, 11, 2, 8, tzinfo=UTC)
LATER = datetime(2026, 11, 9, 12, tzinfo=UTC)
VOID = {"meta", "link", "br", "img", "input", "hr", "source"}
NASTY = (
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "\"><svg/onload=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "[a](javascript:alert(1)) | b\n# c",
    "http://example.com/x.png",
)  # fmt: skip


class Page(HTMLParser):
    """What a browser would make of it: elements with their attributes, and what is open."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def built(parts: Parts) -> WeeklyReport:
    return build(parts.keeper, BERLIN, week=WEEK, now=LATER)


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Two weeks with all sections, every text of a person a nasty one, and audio that is really there."""
    parts = Parts(tmp_path_factory.mktemp("lively") / "home")
    for place, nasty in enumerate(NASTY):
        audio = parts.home.cache / f"{place}.wav"
        audio.write_bytes(b"RIFF" + bytes([place]) * 400)
        clip = parts.clip(
            actor=nasty, time=MONDAY + timedelta(hours=place), name=nasty, text=nasty * 9, tags=(nasty,), voice_name=nasty,
            language=nasty, engine=nasty, features=(nasty,), emotion=nasty, key=audio.name, bytes=404,
            sha256=hashlib.sha256(audio.read_bytes()).hexdigest(),
        )  # fmt: skip
        parts.clip(actor=nasty, time=MONDAY - timedelta(days=3), language=nasty)
        parts.record(ClipMarked(plan="p", rule=nasty, delete_after=LATER), clip, time=MONDAY + timedelta(days=1))
        failure = GenerationFailed(
            channel="cli", engine=nasty, language=nasty, failure=nasty, stage=nasty, emotion="happy", text_length=1,
            elapsed_us=1, actor_label=nasty,
        )  # fmt: skip
        parts.record(failure, new_id(), actor=nasty, time=MONDAY)
    yield parts
    parts.close()


@pytest.fixture(scope="module")
def report(lively: Parts) -> WeeklyReport:
    """Of the second of these weeks."""
    return built(lively)


@pytest.fixture(scope="module")
def mute(report: WeeklyReport) -> str:
    """Its page, without audio."""
    return render_html(report, {})


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """A HOME in which nothing was made yet."""
    parts = Parts(tmp_path_factory.mktemp("quiet") / "home")
    yield parts
    parts.close()


def test_the_page_asks_nothing_of_the_network_and_runs_nothing(report: WeeklyReport, mute: str):
    page = Page(render_html(report, load_audio(report)))
    assert page.open == []
    assert not {tag for tag, _ in page.elements} & {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "img",
        "image",
        "use",
    }
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "action", "srcset", "poster", "data", "xmlns"):
                assert value.startswith(("data:audio/", "#metric-")), (tag, name)
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    styles = re.search(r"<style>(.*)</style>", mute, re.DOTALL)
    assert styles
    assert not re.search(r"url\(|@import|https?:", styles[1])


def test_what_people_typed_stays_text(mute: str):
    page = Page(mute)
    shown = "".join(page.text)
    for nasty in NASTY:
        assert wording.shortened(nasty, 60) in shown
    assert "49" not in re.findall(r"\{\{.*?\}\}", shown)


def test_markdown_stays_one_row_a_line_and_shows_what_people_typed(report: WeeklyReport):
    text = render_markdown(report)
    assert "<script" not in text.replace("\\<", "")
    assert not re.search(r"(?<!\\)\]\(", text)
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(columns) == 1, block


def test_what_a_table_leaves_out_is_counted(parts: Parts):
    for number in range(13):
        parts.clip(language=f"x{chr(97 + number)}", time=MONDAY)
    text = render_markdown(built(parts))
    assert "The most and the least used of 13." in text
    assert text.count("| x") == 10


def test_the_page_can_be_read_without_seeing_it(mute: str):
    page = Page(mute)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    charts = [attributes for _, attributes in page.elements if attributes.get("class") == "chart"]
    assert len(charts) >= 3
    assert all(chart["role"] == "img" and len(chart["aria-label"]) > 30 for chart in charts)
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or svg.get("aria-label")
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    named = [attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes]
    assert set(named) <= set(ids)
    assert {link["href"][1:] for link in page.all("a")} <= set(ids), "each number's name leads to its definition"
    assert all(th.get("scope") for th in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"


def test_samples_play_from_the_page(report: WeeklyReport):
    audio = load_audio(report)
    players = Page(render_html(report, audio)).all("audio")
    assert len(players) == len(report.samples) == 8
    kind, _, body = players[0]["src"].partition(";base64,")
    assert (kind, base64.b64decode(body)) == ("data:audio/wav", audio[report.samples[0].clip][0])


def test_a_sample_without_its_audio_says_why(report: WeeklyReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    copies = [shutil.copy(sample.path or "", tmp_path) for sample in report.samples]
    report = msgspec.structs.replace(
        report,
        samples=tuple(
            msgspec.structs.replace(sample, path=str(copy)) for sample, copy in zip(report.samples, copies, strict=True)
        ),
    )
    gone, altered, *_ = report.samples
    Path(gone.path or "").unlink()
    Path(altered.path or "").write_bytes(b"RIFF" + bytes(400))
    audio = load_audio(report)
    assert set(audio) == {sample.clip for sample in report.samples[2:]}
    assert render_html(report, audio).count("not here any more, or is not what was recorded") == 2
    monkeypatch.setattr("voxledger.analytics.report.render.LARGEST", 403)
    assert render_html(report, audio).count("is more than the 403") == 8
    monkeypatch.setattr("voxledger.analytics.report.render.LARGEST", 500)
    monkeypatch.setattr("voxledger.analytics.report.render.LARGEST_TOTAL", 1_000)
    page = render_html(report, audio)
    assert page.count("<audio") == 2
    monkeypatch.setattr(samples, "LARGEST_TOTAL", 1_000)
    assert len(load_audio(report)) == 2


def test_an_unknown_media_type_is_not_embedded(report: WeeklyReport):
    page = render_html(report, {report.samples[0].clip: (b"x", "text/html")})
    assert "data:text/html" not in page


def test_an_empty_week_says_so_and_what_to_do(quiet: Parts):
    report = built(quiet)
    page = render_html(report, {})
    assert "A quiet week" in page
    assert Page(page).open == []
    assert "%" not in re.sub(r"<style>.*</style>", "", page, flags=re.DOTALL)
    assert "Nothing was generated in this week." in render_markdown(report)
    running = build(quiet.keeper, BERLIN, week=WEEK, now=MONDAY + timedelta(hours=5))
    hint = 'voxledger say "Hello there." --emotion happy'
    assert (hint in render_html(running, {}), f"`{hint}`" in render_markdown(running)) == (True, True)
    assert (hint in page, hint in render_markdown(report)) == (False, False), "nobody can fill a week that is over"


def test_a_running_week_is_marked(lively: Parts):
    report = build(lively.keeper, BERLIN, week=WEEK, now=MONDAY + timedelta(hours=5))
    assert "not closed yet" in render_html(report, {})
    assert "**Not closed yet**" in render_markdown(report)


def test_a_first_week_has_no_percentage_of_nothing(parts: Parts):
    parts.clip(time=MONDAY)
    report = built(parts)
    assert {moved(headline, report=report) for headline in report.headlines} == {"first week"}
    assert {tone(headline) for headline in report.headlines} == {""}
    assert "vs 2026-W44" not in render_html(report, {})


def test_an_erased_user_and_a_clip_without_text_are_shown(report: WeeklyReport):
    sample = msgspec.structs.replace(report.samples[0], actor=None, name=None, text=None, tags=(), loudness_lufs=None)
    user = msgspec.structs.replace(report.users.top[0], actor=None)
    users = msgspec.structs.replace(report.users, top=(user,))
    page = render_html(msgspec.structs.replace(report, samples=(sample,), users=users), {})
    assert "erased user" in page
    assert "Untitled" in page


def test_json_reads_back_as_the_same_report(report: WeeklyReport):
    text = render_json(report)
    assert msgspec.json.decode(text, type=WeeklyReport) == report
    assert json.loads(text)["schema"] == "voxledger.weekly-report/2"


def test_files_are_written_side_by_side(report: WeeklyReport, tmp_path: Path):
    folder = tmp_path / "new" / "reports"
    files = write(report, folder, load_audio(report))
    assert [file.name for file in files] == [f"voxledger-2026-W45.{kind}" for kind in ("html", "md", "json")]
    assert sorted(folder.iterdir()) == sorted(files)
    before = [file.read_bytes() for file in files]
    write(report, folder, load_audio(report))
    assert [file.read_bytes() for file in files] == before, "the same report gives the same bytes"


def test_a_folder_that_cannot_be_written_is_one_clear_error(report: WeeklyReport, tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(ReportNotWritten, match=r"2026-W45 cannot be written to .*; choose another folder"):
        write(report, blocked / "reports", {})


@given(st.integers(-(10**16), 10**16))
def test_durations_and_sizes_are_short_and_never_carry_over(amount):
    for said in (wording.duration(amount), wording.size(amount)):
        assert len(said) < 18
        assert not re.search(r"\b(60(\.0)?\ss|60\smin|1,?000(\.0)?\s(µs|ms|B|kB|MB|GB|TB))", said)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (wording.duration(200_000_000), "3 min 20 s"),
        (wording.duration(4_320_000_000), "1.2 h"),
        (wording.duration(59_999_999), "1 min"),
        (wording.duration(0), "0 s"),
        (wording.size(4_500_000), "4.5 MB"),
        (wording.size(-1_200), "−1.2 kB"),
        (wording.share(0.123), "12.3%"),
        (wording.share(0.00001), "<0.1%"),
        (wording.share(None), "–"),
        (wording.change(0.1234), "+12%"),
        (wording.change(-0.5), "−50%"),
        (wording.change(13.2), "×14"),
        (wording.change(0.021, "share"), "+2.1 pp"),
        (wording.change(0.0), "±0%"),
        (wording.days(datetime(2026, 12, 28, tzinfo=UTC).date(), datetime(2027, 1, 3, tzinfo=UTC).date()),
         "28 December 2026 – 3 January 2027"),
        (wording.shortened("one two  three", 9), "one two…"),
        (wording.plural(1, "clip"), "1 clip"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(said, meant):
    assert said.replace("\N{NO-BREAK SPACE}", " ") == meant


def test_drawings_tell_what_they_show():
    drawn = rose((0.7, 0, 0, 0, 0, 0, 0, 0.2))
    assert 'aria-label="happy 0.70, calm 0.20"' in drawn
    assert drawn.count("<path") == 2
    assert "no emotion" in rose((0.0,) * 8)
    assert sparkline([None, 3], "x", running=False) == ""
    assert "running" in sparkline([0, 0, 3], "x", running=True)
    assert "&lt;b&gt;" in sparkline([1, 2], "<b>", running=False)
