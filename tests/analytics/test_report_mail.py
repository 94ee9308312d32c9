"""The weekly report as a mail, and as a later revision."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from functools import partial

import msgspec
import pytest

from tests.analytics.test_report_page import NASTY, Page
from tests.building import Parts
from voxledger.analytics.publishing import Parcel
from voxledger.analytics.publishing.letter import letter
from voxledger.analytics.publishing.message import message
from voxledger.analytics.report import (
    Change,
    Week,
    WeeklyReport,
    build,
    changes,
    differing,
    mail_parts,
    render_html,
    render_markdown,
    wording,
)
from voxledger.analytics.report.mail import LONGEST_SUBJECT
from voxledger.analytics.report.telling import grace
from voxledger.catalog.events import AudioAccessed, AudioStored, ClipMarked, GenerationFailed, new_id
from voxledger.catalog.settings import Mail, Retention, Settings

WEEK = Week.parse("2026-W45")
MONDAY = datetime(2026, 11, 2, 8, tzinfo=UTC)
NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeeklyReport]:
    """The report of a catalog in which every text of a person is a nasty one."""
    parts = Parts(tmp_path_factory.mktemp("hostile") / "home")
    for place, nasty in enumerate(NASTY):
        for back in range(9):
            clip = parts.clip(
                actor=nasty, time=MONDAY + timedelta(hours=place) - timedelta(weeks=back), name=nasty, text=nasty, emotion=nasty,
                voice_name=nasty, language=nasty, engine=nasty, features=(nasty,), model=nasty,
            )  # fmt: skip
        parts.record(ClipMarked(plan="p", rule=nasty, delete_after=NOW + timedelta(days=1)), clip, time=MONDAY)
        failure = GenerationFailed(
            channel="cli", engine=nasty, language=nasty, failure=nasty, stage="queue", emotion="happy", text_length=1,
            elapsed_us=1, actor_label=nasty,
        )  # fmt: skip
        parts.record(failure, new_id(), actor=nasty, time=MONDAY)
    yield build(parts.keeper, Settings(), week=WEEK, now=NOW)
    parts.close()


def test_a_mail_asks_nothing_of_the_network_and_needs_no_style_sheet(hostile: WeeklyReport) -> None:
    page = Page(mail_parts(hostile).html)
    assert page.open == []
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "style", "link", "img", "svg", "iframe", "audio", "video", "form", "base", "object"}
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "href", "class", "background", "srcset"), (tag, name, value)
            assert not re.search(r"url\(|https?:|javascript:", value or ""), (tag, value)


def test_what_people_typed_stays_text_in_a_mail(hostile: WeeklyReport) -> None:
    parts = mail_parts(hostile)
    shown = "".join(Page(parts.html).text)
    for nasty in NASTY:
        assert wording.shortened(nasty, 44) in shown
    assert "\n" not in parts.subject
    assert len(parts.subject) <= LONGEST_SUBJECT
    assert parts.subject.isascii()


def test_the_plain_text_reads_well_where_there_is_no_html(hostile: WeeklyReport) -> None:
    text = mail_parts(hostile).text
    lines = text.splitlines()
    assert max(map(len, lines)) <= 72
    assert not re.search(r"^(#|\|)|\\[<>*_`\[]|\*\*", text, re.MULTILINE), "no markup, and nothing escaped"
    assert lines[0] == f"Voxledger, week {hostile.week}"
    for headline in hostile.headlines:
        (row,) = (line for line in lines if line.startswith(f"{headline.title} "))
        assert " ".join(wording.number(headline.value, headline.unit).split()) in row
    assert [title for title in lines if title in ("Numbers", "What moved", "Expiring next week", "Storage")] == [
        "Numbers", "What moved", "Expiring next week", "Storage",
    ]  # fmt: skip
    for clip in hostile.retention.expiring:
        assert f'  voxledger retention hold {clip.clip[-8:]} --reason "..."' in lines
    assert f"  voxledger report explain METRIC --week {hostile.week}" in lines
    assert "Complete up to event" in text


def test_a_mail_says_what_matters_and_how_to_keep_what_goes(hostile: WeeklyReport) -> None:
    shown = " ".join("".join(Page(mail_parts(hostile).html).text).split())
    for headline in hostile.headlines:
        assert headline.title in shown
    assert "What moved" in shown
    assert "8 clips, 529.6 kB, by Tuesday 17 November 2026, 12:00, when their grace ends." in shown
    assert f'voxledger retention hold {hostile.retention.expiring[0].clip[-8:]} --reason "…"' in shown


def test_what_expires_is_overdue_once_its_grace_is_over_and_goes_by_itself_only_on_a_schedule(parts: Parts) -> None:
    for days in (-1, 1):
        clip = parts.clip(time=MONDAY, name=f"clip {days}")
        parts.record(ClipMarked(plan="p", rule="old", delete_after=NOW + timedelta(days=days)), clip, time=MONDAY)
    unset = "Nothing is purged by itself: retention.schedule is not set."
    for schedule in ("", "03:00"):
        report = build(parts.keeper, Settings(retention=Retention(schedule=schedule)), week=WEEK, now=NOW)
        assert [grace(row, report).replace("\N{NO-BREAK SPACE}", " ") for row in report.retention.expiring] == [
            "overdue",
            "11 Nov",
        ]
        letter = mail_parts(report)
        for text in (render_html(report, {}), render_markdown(report), letter.html, letter.text):
            said = " ".join(text.replace("\\", "").split())
            assert "What is overdue goes with the next run." in said
            assert (unset in said) == (not schedule)
            assert "09 Nov" not in said
            assert "9 Nov" not in said


def test_people_see_the_text_or_the_page_whichever_their_program_shows(hostile: WeeklyReport) -> None:
    parcel = Parcel(node="node", week="2026-W45", revision=1, report=hostile)
    made = letter(parcel, Mail(to=("ann@example.org",), sender="studio@example.org", host="localhost"), NOW)
    seen = message_from_bytes(made.as_bytes(), policy=policy.default)
    assert seen.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in seen.iter_parts()] == ["text/plain", "text/html"]  # type: ignore[attr-defined]
    plain, page = (part.get_content() for part in seen.iter_parts())  # type: ignore[attr-defined]
    assert plain.replace("\r\n", "\n").strip() == mail_parts(hostile).text.strip()
    assert page.replace("\r\n", "\n").strip() == mail_parts(hostile).html.strip()
    assert seen["Subject"] == mail_parts(hostile).subject
    assert not list(seen.iter_attachments())  # type: ignore[attr-defined]


def test_a_mail_of_an_empty_week_is_short_and_useful(parts: Parts) -> None:
    nothing = mail_parts(build(parts.keeper, Settings(), week=WEEK, now=NOW))
    assert nothing.subject.endswith(": nothing was generated")
    shown = "".join(Page(nothing.html).text)
    assert "Storage and retention" in shown
    assert "What moved" not in shown
    assert "%" not in shown


def test_a_subject_holds_as_many_numbers_as_have_room(parts: Parts) -> None:
    parts.clip(time=MONDAY, duration_us=21_000_000)
    report = build(parts.keeper, Settings(), week=WEEK, now=NOW)
    assert mail_parts(report).subject == "Voxledger, week 2026-W45: 1 new clip, 21.0 s of speech, 1 person"
    later = msgspec.structs.replace(report, revision=12, revises=11, closed=False)
    assert mail_parts(later).subject == "Voxledger, week 2026-W45, revision 12, not closed yet: 1 new clip"


def revised(parts: Parts) -> WeeklyReport:
    """The second revision of a week of which a clip arrived late."""
    for number in range(2):
        parts.clip(time=MONDAY + timedelta(hours=number), language="en", duration_us=61_000_000)
    first = build(parts.keeper, Settings(), week=WEEK, now=NOW)
    parts.clip(actor="<b>dot</b>", time=MONDAY, language="<b>x</b>", duration_us=1_000_000, suspect=("clipped",))
    second = build(parts.keeper, Settings(), week=WEEK, now=NOW)
    return msgspec.structs.replace(second, revision=2, revises=1, changes=tuple(changes(first, second)))


def test_a_later_revision_says_what_it_says_differently_in_words(parts: Parts) -> None:
    report = revised(parts)
    parts_of_mail = mail_parts(report)
    assert ", revision 2: " in parts_of_mail.subject
    for text in (render_html(report, {}), render_markdown(report), parts_of_mail.html):
        assert "What revision 2 says differently" in text
        said = text.replace("\N{NO-BREAK SPACE}", " ")
        assert "Clips made: 3, 2 before" in said
        assert "Audio made: 2 min 3 s, 2 min 2 s before" in said
        assert "Suspect audio: 33.3%, 0% before" in said
        assert "evidence" not in said
        assert "<b>x" not in text
    page = render_html(report, {})
    told = len(differing(report))
    assert f"{told} numbers differ" in page
    assert f"and {told - 20} more, in the JSON beside this page" in page


def test_numbers_that_differ_by_less_than_is_shown_are_not_listed(parts: Parts) -> None:
    report = revised(parts)
    same, other = (
        Change(section="headlines", row="latency_p95_us", field="value", before=1_810_000, after=after)
        for after in (1_840_000, 1_910_000)
    )
    both = msgspec.structs.replace(report, changes=(same, other))
    none = msgspec.structs.replace(report, changes=(same,))
    for made in (
        partial(render_html, audio={}),
        render_markdown,
        lambda told: mail_parts(told).html,
        lambda told: mail_parts(told).text,
    ):
        said = made(both).replace("\N{NO-BREAK SPACE}", " ")
        assert "1.9 s, 1.8 s before" in said
        assert "1.8 s, 1.8 s before" not in said
        assert "says differently" not in made(none)
    assert "1 number differs" in render_html(both, {})
    assert "numbers changed" not in str(message(none))


def test_a_first_revision_and_one_without_changes_say_nothing_of_it(parts: Parts) -> None:
    report = msgspec.structs.replace(revised(parts), revision=1, revises=None, changes=())
    assert "says differently" not in render_html(report, {})
    assert "revision" not in mail_parts(report).subject


def test_what_became_of_a_week_s_clips_since_is_no_revision_of_it(parts: Parts) -> None:
    clips = [parts.clip(time=MONDAY + timedelta(hours=number)) for number in range(3)]
    before = build(parts.keeper, Settings(), week=WEEK, now=NOW)
    later = MONDAY + timedelta(days=9)
    parts.record(
        AudioStored(bucket="b", bytes=1, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k"),
        clips[0],
        time=later,
    )
    parts.record(AudioAccessed(channel="web", purpose="play"), clips[0], time=later)
    after = build(parts.keeper, Settings(), week=WEEK, now=NOW)
    assert after.funnel != before.funnel
    assert tuple(changes(before, after)) == ()
