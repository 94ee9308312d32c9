"""The sections of the weekly report: who stayed, what was taken up, what is used and what is not, what it costs, what goes next."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from markupsafe import escape

from tests.analytics.test_report import failed, reused
from tests.building import NOBODY, Parts
from tests.catalog.projections.test_others import REGISTERED
from voxledger.analytics.report import Week, WeeklyReport, build, links, render_html, render_markdown
from voxledger.analytics.report.parts import FeatureUse
from voxledger.analytics.report.telling import at_work, features, forecast, missing, other_features, sent, spent
from voxledger.catalog.events import (
    AudioAccessed,
    AudioStored,
    ClipMarked,
    DeliveryQuarantined,
    DeliveryRetried,
    ObjectMissing,
    VoiceRegistered,
    new_id,
)
from voxledger.catalog.objects import Store
from voxledger.catalog.settings import Mixpanel, Settings
from voxledger.catalog.settings import Store as StoreSettings
from voxledger.catalog.settings.prices import DevicePrice, Prices

WEEK = Week.parse("2026-W45")
NOW = WEEK.end + timedelta(days=2)
PRICED = Settings(prices=Prices(currency="EUR", gb_month=30.0, devices=(DevicePrice(device="cpu", per_hour=3.6),)))


def at(back: int, hours: float = 1) -> datetime:
    """A moment of the week so many before."""
    return WEEK.previous(back).start.astimezone(UTC) + timedelta(hours=hours)


def stored(size: int) -> AudioStored:
    return AudioStored(bucket="b", bytes=size, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k")


GONE = ObjectMissing(bucket="b", state="absent", bytes=1, found_bytes=None, found_etag=None, key="k")


def voice(digit: str, name: str) -> VoiceRegistered:
    return msgspec.structs.replace(REGISTERED, sha256=digit * 64, name=name, expires=None)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Ten weeks: ann always, ben until last week, cyd long ago and now, dot now; voices, languages and features that come and go."""
    parts = Parts(tmp_path_factory.mktemp("studio") / "home")
    for digit, name in (("a", "Old Tom"), ("b", "Never"), ("c", "Fresh"), ("d", "Daily")):
        parts.record(voice(digit, name), digit * 64, time=at(0) if name == "Fresh" else at(9))
    for back in range(9, -1, -1):
        kept = parts.clip(
            time=at(back), bytes=1_000_000_000, features=("emotion", "tags") if back else ("emotion", "stream"),
            synthesis_us=3_600_000_000, voice_sha256="d" * 64, voice_name="Daily",
        )  # fmt: skip
        parts.record(stored(1_000_000_000), kept, time=at(back, 1.1))
        if back:
            parts.clip(actor="ben", time=at(back, 2), bytes=0, features=("emotion",))
    parts.clip(
        actor="cyd", time=at(8, 3), bytes=0, language="sv", voice_sha256="a" * 64, voice_name="Old Tom", model="older"
    )
    parts.clip(actor="cyd", time=at(0, 3), bytes=0, features=())
    for place in range(8):
        for number in range(place + 1):
            parts.clip(
                actor="dot",
                time=at(0, 5 + number),
                bytes=0,
                language=f"l{place}",
                features=(),
                voice_name=f"voice {place}",
            )
    played = parts.clip(actor="dot", time=at(0, 20), bytes=10, features=())
    parts.record(stored(10), played, actor="dot", time=at(0, 21))
    parts.record(AudioAccessed(channel="web", purpose="play"), played, time=at(0, 22))
    parts.record(reused(features=("emotion", "reuse")), kept, time=at(0, 9))
    for number in range(15):
        going = parts.clip(actor="dot", time=at(0, 30), bytes=100, name=f"going {number}", features=())
        parts.record(stored(100), going, actor="dot", time=at(0, 31))
        leaves = ClipMarked(plan="p", rule="old", delete_after=NOW + timedelta(days=number / 2, hours=1))
        parts.record(leaves, going, actor="dot", time=at(0, 40))
    yield parts
    parts.close()


@pytest.fixture(scope="module")
def report(studio: Parts) -> WeeklyReport:
    return build(studio.keeper, PRICED, week=WEEK, now=NOW)


@pytest.fixture(scope="module")
def page(report: WeeklyReport) -> str:
    return render_html(report, {})


def test_users_are_told_by_whether_they_stayed(report: WeeklyReport) -> None:
    users = report.users
    assert (users.active, users.new, users.retained, users.resurrected, users.lost) == (3, 1, 1, 1, 1)
    assert users.returning == users.retained + users.resurrected
    assert users.retention_rate == 0.5
    assert {user.actor for user in users.top if user.new} == {"dot"}


def test_cohorts_say_who_came_again_in_each_week_since(report: WeeklyReport, page: str) -> None:
    cohorts = {cohort.monday: cohort for cohort in report.users.cohorts}
    assert set(cohorts) == {at(8).date().isoformat(), WEEK.monday.isoformat()}, "ann and ben came before the nine weeks"
    cyd = cohorts[at(8).date().isoformat()]
    assert (cyd.users, cyd.shares) == (1, (1.0, *[0.0] * 7, 1.0))
    assert cohorts[WEEK.monday.isoformat()].shares == (1.0,)
    assert "Who came again" in page


def test_a_feature_is_new_or_dropped_and_says_who_took_it_up(report: WeeklyReport, page: str) -> None:
    found = {row.feature: row for row in report.features}

    def told(row: FeatureUse) -> tuple[Any, ...]:
        return row.status, row.users, row.new_users, row.returning_users, row.dropped_users

    assert told(found["stream"]) == ("new", 1, 1, 0, 0)
    assert told(found["tags"]) == ("dropped", 0, 0, 0, 1)
    assert told(found["emotion"]) == ("", 1, 0, 1, 1), "ann stayed, ben did not come"
    assert report.features[-1].feature == "tags", "what was dropped comes last"
    assert '<span class="tag">new</span>' in page
    assert '<span class="tag">dropped</span>' in page


def test_a_ranking_has_the_most_and_the_least_used_and_none_twice(report: WeeklyReport, page: str) -> None:
    languages = report.languages
    assert languages.groups == 9
    assert [group.name for group in languages.top] == ["en", "l7", "l6", "l5", "l4"]
    assert [group.name for group in languages.bottom] == ["l0", "l1", "l2", "l3"], "the least used first"
    assert languages.rest_audio_us == sum(group.audio_us for group in languages.bottom)
    assert {group.name for group in report.voices.top} & {group.name for group in report.voices.bottom} == set()
    assert "the least used:" in page


def test_what_nobody_used_for_a_month_is_listed_also_what_nobody_ever_used(report: WeeklyReport, page: str) -> None:
    assert [(row.name, row.last_used) for row in report.languages.unused] == [("sv", at(8, 3))]
    assert [row.name for row in report.models.unused] == ["older"]
    assert [(row.name, row.last_used) for row in report.voices.unused] == [("Old Tom", at(8, 3)), ("Never", None)], (
        "a voice registered in this week is not unused yet"
    )
    assert "Not used for 30 days: Old Tom (since 7\N{NO-BREAK SPACE}Sep), Never (never)." in page
    assert "Not used for 30 days: Old Tom, Never." in render_markdown(report)


def test_how_many_groups_lie_between_is_said_in_numbers(parts: Parts) -> None:
    for number in range(13):
        parts.clip(language=f"x{number}", time=at(0))
    assert "3 more, and the least used:" in render_html(build(parts.keeper, Settings(), week=WEEK, now=NOW), {})


def test_the_funnel_counts_how_far_the_clips_of_the_week_got(report: WeeklyReport) -> None:
    assert [(step.metric, step.clips) for step in report.funnel] == [
        ("funnel_made", 54), ("funnel_stored", 17), ("funnel_played", 1), ("funnel_kept", 1),
    ]  # fmt: skip
    assert report.funnel[1].share == pytest.approx(17 / 54)
    assert report.funnel[3].share_of_previous == 1.0


def test_what_the_week_cost_is_told_part_by_part(report: WeeklyReport, page: str) -> None:
    parts = {cost.part: cost.micro for cost in report.storage.cost}
    # Nine clips of 10^9 bytes for 7 of 30 days at 30 EUR, and the tenth for 9.1 hours less than the week at hand.
    assert parts["room"] / 1e6 == pytest.approx(9 * 30 * 7 / 30 + (7 - 1.1 / 24), rel=1e-3)
    assert parts["engine"] / 1e6 == pytest.approx(3.6, rel=1e-3)
    said = spent(report.storage).replace("\N{NO-BREAK SPACE}", " ")
    assert said.startswith(f"{sum(parts.values()) / 1e6:.2f} EUR (room ")
    assert str(escape(spent(report.storage))) in page


def test_the_forecast_goes_on_as_the_last_weeks_did(report: WeeklyReport, page: str) -> None:
    ahead = report.storage.forecast
    assert ahead is not None
    assert ahead.expected == pytest.approx(14e9, rel=0.01)
    assert forecast(report.storage) in page


def test_a_young_catalog_has_no_forecast_and_says_why(parts: Parts) -> None:
    parts.clip(time=at(0))
    young = build(parts.keeper, Settings(), week=WEEK, now=NOW)
    assert forecast(young.storage) == "insufficient data (fewer than four whole weeks)"


def test_what_expires_in_seven_days_is_counted_and_comes_with_the_command_that_keeps_it(
    report: WeeklyReport, page: str
) -> None:
    retention = report.retention
    assert (retention.expiring_clips, retention.expiring_bytes) == (14, 1400), "the fifteenth goes an hour too late"
    assert [clip.name for clip in retention.expiring] == [f"going {number}" for number in range(12)]
    assert "Expiring next week: 14 clips" in page
    assert f"voxledger retention hold {retention.expiring[0].clip[-8:]} --reason" in page
    assert "and 2 more" in page


def test_links_to_what_goes_next_are_for_stores_that_others_reach_and_do_not_count_as_use(
    studio: Parts, report: WeeklyReport, page: str
) -> None:
    before = studio.journal.head()
    reached = Store(studio.home, StoreSettings(endpoint=NOBODY, access_key="key", secret_key="secret"))
    found = links(report, reached, 3600)
    assert set(found) == {clip.clip for clip in report.retention.expiring}
    linked = render_html(report, {}, found)
    assert linked.count('rel="noreferrer"') == 12
    assert "X-Amz-Expires=3600" in linked
    assert links(report, reached, 0) == {}
    assert 'rel="noreferrer"' not in page
    assert links(report, Store(studio.home, StoreSettings()), 3600) == {}, (
        "the embedded store serves this machine alone"
    )
    assert studio.journal.head() == before
    again = build(studio.keeper, PRICED, week=WEEK, now=NOW)
    assert again.retention == report.retention
    assert {sample.plays for sample in again.samples} == {sample.plays for sample in report.samples}


def test_mixpanel_is_told_waited_for_and_refused(parts: Parts) -> None:
    on = Settings(mixpanel=Mixpanel(token="token"))
    for number in range(6):
        parts.clip(time=at(0, number))
    assert sent(build(parts.keeper, Settings(), week=WEEK, now=NOW)) == "nothing is sent: no token is set"
    ids = [row["id"] for row in parts.rows("SELECT id::VARCHAR AS id FROM events ORDER BY position")]
    with parts.journal.transaction() as write:
        write.move_cursor("mixpanel", 4)
    fact = DeliveryQuarantined(subscription="mixpanel", refused_type="GenerationCompleted", field="f", reason="r")
    parts.record(fact, ids[0], time=at(0, 7))
    told = build(parts.keeper, on, week=WEEK, now=NOW)
    found = told.quality.mixpanel
    assert found is not None
    assert (found.on, found.events, found.passed, found.waiting, found.refused) == (True, 6, 4, 2, 1)
    assert told.quality.quarantined == 1
    assert sent(told) == "3 of 6 events of the week are acknowledged, 2 wait, 1 were refused"
    assert "1 event in quarantine in all" in render_html(told, {})
    parts.record(DeliveryRetried(subscription="mixpanel", refused_type="GenerationCompleted"), ids[0], time=at(0, 8))
    assert build(parts.keeper, on, week=WEEK, now=NOW).quality.quarantined == 0


def test_events_that_came_late_are_counted(parts: Parts) -> None:
    parts.clip(time=at(0))
    report = build(parts.keeper, Settings(), week=WEEK, now=NOW)
    assert report.quality.recorded_late == 1, "it happened in a week long gone and is recorded now"
    assert report.quality.lag_p95_us is not None
    assert report.quality.lag_p95_us > 3_600_000_000


def test_engines_whose_clips_were_only_given_again_have_no_line_of_speed(parts: Parts) -> None:
    clip = parts.clip(time=at(0) - timedelta(days=7), engine="indextts")
    parts.record(reused(engine="indextts"), clip, time=at(0))
    assert "## Speed" not in render_markdown(build(parts.keeper, Settings(), week=WEEK, now=NOW))
    parts.record(failed(failure="timeout", stage="queue"), new_id(), time=at(0))
    report = build(parts.keeper, Settings(), week=WEEK, now=NOW)
    assert len(report.engines) == 2
    assert [row.engine for row in at_work(report)] == ["espeak"]
    assert "| espeak | – | 0 | 1 |" in render_markdown(report)


def test_failures_and_speed_are_told_by_engine_and_device(parts: Parts) -> None:
    parts.clip(time=at(0), engine="indextts", device="cuda:0", duration_us=2_000_000, synthesis_us=500_000)
    for _ in range(3):
        parts.record(failed(failure="timeout", stage="queue"), new_id(), time=at(0))
    report = build(parts.keeper, Settings(), week=WEEK, now=NOW)
    assert [(row.engine, row.device, row.failed, row.rtf_p95) for row in report.engines] == [
        ("indextts", "cuda:0", 0, 0.25), ("espeak", None, 3, None),
    ], "what reached no device comes last"  # fmt: skip
    assert [(row.failure, row.stage, row.count) for row in report.failures] == [("timeout", "queue", 3)]


def test_what_is_not_in_the_store_has_no_link_and_the_page_says_why(parts: Parts) -> None:
    for name, facts in (("kept", [stored(1)]), ("slow", []), ("lost", [stored(1), GONE])):
        clip = parts.clip(time=at(0), name=name)
        for fact in (*facts, ClipMarked(plan="p", rule="old", delete_after=NOW + timedelta(days=1))):
            parts.record(fact, clip, time=at(0, 2))
    report = build(parts.keeper, PRICED, week=WEEK, now=NOW)
    store = Store(parts.home, StoreSettings(endpoint=NOBODY, access_key="key", secret_key="secret"))
    found = links(report, store, 3600)
    names = {row.clip: row.name for row in report.retention.expiring}
    assert [names[clip] for clip in found] == ["kept"]
    told = {row.name: missing(row) for row in report.retention.expiring}
    assert told == {"kept": "", "slow": "not uploaded", "lost": "audio is gone"}
    page = render_html(report, {}, found)
    assert (page.count('rel="noreferrer"'), page.count(">not uploaded<"), page.count(">audio is gone<")) == (1, 1, 1)


def test_a_long_list_of_features_is_cut_and_the_rest_summed_up(parts: Parts) -> None:
    for number in range(20):
        for _ in range(20 - number):
            parts.clip(time=at(0), features=(f"trait{number:02}",))
    for number in range(5):
        parts.clip(time=at(1), features=(f"gone{number}",))
    report = build(parts.keeper, PRICED, week=WEEK, now=NOW)
    shown = [f"trait{number:02}" for number in range(9)] + [f"gone{number}" for number in range(3)]
    assert [row.feature for row in features(report)] == shown
    assert len(report.features) == 25, "the JSON has all of them"
    # 11 + 10 + … + 1 requests, the most of one feature 11 of 210; each of the five was ann's, who uses none of them any more.
    said = "13 more, in at most 5.2% of the requests each: used 66 times, taken up 11 times, dropped 2 times"
    assert other_features(report) == said
    for text in (render_html(report, {}), render_markdown(report).replace("\\", "")):
        assert said in text
        assert "trait09" not in text.partition("How this is counted")[0]


def test_a_long_list_of_what_goes_next_has_the_width_of_the_page(page: str, parts: Parts) -> None:
    assert '<div class="card wide">\n<h3>Expiring next week' in page
    clip = parts.clip(time=at(0))
    parts.record(ClipMarked(plan="p", rule="old", delete_after=NOW + timedelta(days=1)), clip, time=at(0, 2))
    short = render_html(build(parts.keeper, PRICED, week=WEEK, now=NOW), {})
    assert '<div class="card">\n<h3>Expiring next week' in short
