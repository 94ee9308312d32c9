"""What the weekly report says moved, and what each of its numbers is worth as evidence."""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.analytics.test_report import failed, reused
from tests.building import Parts, completed
from tests.soak import examples
from voxledger.analytics.report import Week, WeeklyReport, build, render_html, render_markdown, sentence, subject
from voxledger.analytics.report.telling import confidence, moved, tone
from voxledger.catalog.events import new_id
from voxledger.catalog.settings import Settings

WEEK = Week.parse("2026-W45")
WEEKS = 9
"""This week and the eight before it."""
EMOTIONS = ("happy", "sad", "calm", "angry", "afraid", "surprised", "disgusted", "melancholic")


class Studio:
    """A HOME that is filled by the week."""

    def __init__(self, folder: Path) -> None:
        self.parts = Parts(folder / "home")
        self.chance = random.Random(7)
        self._made: dict[tuple[int, datetime | None], WeeklyReport] = {}

    def week(self, back: int, count: int, *, within: timedelta = timedelta(days=7), **choices: Sequence[Any]) -> None:
        """`count` clips of the week so many before, each fact drawn from its choices, all recorded at once."""
        drafts = []
        for number in range(count):
            facts = {name: self.chance.choice(values) for name, values in choices.items()}
            actor = facts.pop("actor", f"user{number % 5}")
            drafts.append(self._draft(completed(actor_label=actor, **facts), actor, back, within))
        self.parts.journal.emit(*drafts)

    def others(self, back: int, *facts: Any) -> None:
        """Attempts that made no clip."""
        self.parts.journal.emit(*[self._draft(fact, "ann", back, timedelta(days=7)) for fact in facts])

    def report(self, back: int = 0, now: datetime | None = None) -> WeeklyReport:
        """The report of that week; of studios to which nothing is added any more, so that each is made once."""
        if (back, now) not in self._made:
            week = WEEK.previous(back)
            self._made[back, now] = build(
                self.parts.keeper, Settings(), week=week, now=now or week.end + timedelta(days=1)
            )
        return self._made[back, now]

    def _draft(self, fact: Any, actor: str, back: int, within: timedelta) -> Any:
        time = WEEK.previous(back).start + self.chance.random() * within
        return self.parts.recorder.draft(fact, subject=new_id(), actor=self.parts.vault.actor(actor), time=time)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Fourteen weeks in which nothing changes but by chance: hundreds of voices, dozens of languages and features."""
    studio = Studio(tmp_path_factory.mktemp("calm"))
    features = [tuple(f"feature{n}" for n in range(30) if studio.chance.random() < 0.3) for _ in range(200)]
    for back in range(14):
        studio.week(
            back, round(studio.chance.gauss(500, 22)), voice_name=[f"voice{n}" for n in range(300)], emotion=EMOTIONS,
            language=[f"l{n}" for n in range(30)], features=features, channel=["api", "cli", "web"], model=["one", "two"],
            duration_us=range(1_000_000, 9_000_000), actor=[f"user{n}" for n in range(40)],
        )  # fmt: skip
    yield studio
    studio.parts.close()


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Nine weeks alike but for the last: twice as much, a third of it sad, and from the second model rather than the first."""
    studio = Studio(tmp_path_factory.mktemp("shifted"))
    for back in range(WEEKS):
        new = back == 0
        studio.week(
            back, 400 if new else round(studio.chance.gauss(200, 12)), voice_name=[f"voice{n}" for n in range(40)],
            emotion=(*EMOTIONS, *["sad"] * 3) if new else EMOTIONS, model=["one", "two", "two", "two"] if new else ["one", "two"],
            duration_us=range(3_000_000, 4_000_000),
        )  # fmt: skip
    yield studio
    studio.parts.close()


def lines(report: WeeklyReport) -> Mapping[tuple[str, str, str], float]:
    return {(move.metric, move.dimension, move.group): move.value - move.before for move in report.moves.lines}


def verdicts(report: WeeklyReport) -> Mapping[str, str]:
    return {headline.metric: headline.evidence.verdict for headline in report.headlines}


def test_what_shifted_is_found_and_nothing_else(shifted: Studio) -> None:
    report = shifted.report()
    found = lines(report)
    assert {where[1:] for where in found if where[1]} == {("emotion", "sad"), ("model", "two")}
    assert found["clip_share", "emotion", "sad"] > 0.1
    assert report.moves.tested > 50


def test_one_of_two_groups_is_told_and_not_the_other_the_other_way_round(shifted: Studio) -> None:
    assert [move.group for move in shifted.report().moves.lines if move.dimension == "model"] == ["two"]


def test_more_activity_is_told_once_however_many_numbers_count_it(shifted: Studio) -> None:
    report = shifted.report()
    judged = verdicts(report)
    assert (judged["clips"], judged["generations"], judged["audio_us"]) == ("unusual",) * 3
    told = [move for move in report.moves.lines if not move.dimension]
    assert [move.kind for move in told] == ["count"]
    assert told[0].metric in ("clips", "generations", "audio_us")
    assert told[0].low <= told[0].before <= told[0].high < told[0].value
    assert told[0].observations == 8


def test_moves_are_in_the_order_of_their_effect_and_at_most_five(shifted: Studio) -> None:
    moves = shifted.report().moves.lines
    assert 0 < len(moves) <= 5
    assert [move.effect for move in moves] == sorted((move.effect for move in moves), reverse=True)


def test_a_move_says_how_much_against_what_and_how_sure_that_is(shifted: Studio) -> None:
    report = shifted.report()
    move = next(move for move in report.moves.lines if move.group == "sad")
    assert subject(move) == "Emotion sad, share of clips"
    said = sentence(move, report)
    assert "pp against 2026-W44 (+" in said
    assert f"n = {move.observations}" in said
    assert move.low < move.value - move.before < move.high
    for text in (render_html(report, {}), render_markdown(report)):
        assert "Emotion sad, share of clips" in text
        assert "at most 1 in 20 of such lines would be chance" in text


def test_of_hundreds_of_groups_hardly_ever_one_moves_by_chance(calm: Studio) -> None:
    reports = [calm.report(back) for back in range(examples(6))]
    assert min(report.moves.tested for report in reports) > 300
    assert sum(len(report.moves.lines) for report in reports) <= 1
    quiet = next(report for report in reports if not report.moves.lines)
    assert "Nothing moved by more than chance and by enough to matter" in render_html(quiet, {})


def test_the_habits_of_a_few_people_come_and_go_without_a_line(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    for back in range(12):
        for user in range(6):
            studio.week(back, 40, emotion=[studio.chance.choice(EMOTIONS)], actor=[f"user{user}"])
    reports = [studio.report(back) for back in range(3)]
    studio.parts.close()
    lines = [move for report in reports for move in report.moves.lines if move.dimension == "emotion"]
    assert len(lines) <= 2, "each week a favourite of somebody moves by more than 240 independent requests would"
    assert sum(report.moves.ordinary for report in reports) >= 6
    assert "moved within what is usual" in render_markdown(reports[0])


def test_a_number_that_rests_on_a_few_things_is_not_judged(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    for back in range(WEEKS):
        studio.week(
            back,
            200,
            actor=["ann", "ben"] if back else [f"user{n}" for n in range(9)],
            queue_us=range(1, 1000) if back else [9_000_000],
        )
    quiet = Studio(tmp_path / "quiet")
    for back in range(WEEKS):
        quiet.week(back, 3, queue_us=[10 + back if back else 9_000_000])
    verdicts = {
        (name, metric): studio_.report().headline(metric).evidence.verdict
        for name, studio_ in (("busy", studio), ("quiet", quiet))
        for metric in ("active_users", "queue_p95_us")
    }
    studio.parts.close()
    quiet.parts.close()
    assert verdicts["busy", "active_users"] == "insufficient", "nine of two"
    assert verdicts["busy", "queue_p95_us"] == "unusual"
    assert verdicts["quiet", "queue_p95_us"] == "insufficient", "of three clips"


def test_what_may_be_chance_has_no_colour(calm: Studio, shifted: Studio) -> None:
    for report in (calm.report(), shifted.report()):
        for headline in report.headlines:
            if headline.evidence.verdict != "unusual":
                assert tone(headline) == ""
    assert tone(shifted.report().headline("clips")) == "good"


def test_less_than_unusually_much_the_week_before_is_no_bad_news(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    for back, count in enumerate((300, 600, *[100] * 7)):
        studio.week(back, count)
    clips = studio.report().headline("clips")
    assert (clips.evidence.verdict, moved(clips, report=studio.report())) == ("unusual", "−50%")
    assert tone(clips) == ""
    studio.parts.close()


def test_usual_and_unusual_counts_say_where_they_would_lie(shifted: Studio, calm: Studio) -> None:
    clips = shifted.report().headline("clips")
    assert clips.evidence.high is not None
    assert 200 < clips.evidence.high < 400
    assert confidence(clips, shifted.report()).startswith("unusual: mostly ")
    usual = calm.report().headline("clips")
    assert usual.evidence.low is not None
    assert usual.evidence.high is not None
    assert usual.evidence.low <= usual.value <= usual.evidence.high
    assert confidence(usual, calm.report()) == "within chance"


def test_under_thirty_observations_there_is_no_verdict(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    for back in range(3):
        studio.week(back, 29, emotion=["sad"] if back == 0 else ["happy"], voice_name=["Ines", "Bo"])
    studio.others(0, *[failed()] * 20)
    report = studio.report()
    assert set(verdicts(report).values()) == {"insufficient"}
    assert (report.moves.lines, report.moves.tested) == ((), 0)
    assert report.moves.untold > 5
    page = render_html(report, {})
    assert "Insufficient data: a share needs 30 observations" in page
    assert page.count(">insufficient data<") == 6
    studio.parts.close()


def test_a_rate_is_judged_against_the_week_before(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    for back in range(2):
        studio.week(back, 100)
        studio.others(back, *[failed()] * (40 if back == 0 else 2), *[reused()] * 30)
    report = studio.report()
    judged = verdicts(report)
    assert (judged["failure_rate"], judged["reuse_rate"]) == ("unusual", "usual")
    assert judged["clips"] == "insufficient", "there are no eight weeks to compare a count with"
    failures = report.headline("failure_rate")
    assert confidence(failures, report) == "beyond chance"
    assert tone(failures) == "bad"
    assert failures.evidence.low is not None
    assert failures.evidence.high is not None
    assert failures.evidence.low < failures.value < failures.evidence.high
    studio.parts.close()


def test_counts_of_a_running_week_are_not_judged_and_shares_are(shifted: Studio) -> None:
    report = shifted.report(now=WEEK.start + timedelta(days=4))
    judged = verdicts(report)
    assert {judged[name] for name in ("clips", "generations", "audio_us", "active_users")} == {"insufficient"}
    assert judged["failure_rate"] in ("usual", "unusual")
    assert ("clip_share", "emotion", "sad") in lines(report)
    assert not any(move.kind == "count" for move in report.moves.lines)
    assert "insufficient data" not in confidence(report.headline("clips"), report), "it is too early, not too little"


def test_a_first_week_has_no_moves(shifted: Studio) -> None:
    report = shifted.report(back=WEEKS - 1)
    assert report.first_week
    assert report.moves.lines == ()
    assert "What moved" not in render_html(report, {})


def test_an_empty_week_after_busy_ones_is_told_as_such(shifted: Studio) -> None:
    report = build(shifted.parts.keeper, Settings(), week=WEEK.following(), now=datetime(2026, 11, 20, tzinfo=UTC))
    assert report.empty
    assert verdicts(report)["clips"] == "unusual"
    assert report.headline("failure_rate").value is None
    assert verdicts(report)["failure_rate"] == "insufficient"
    page = render_html(report, {})
    assert "A quiet week" in page
    assert "unusual: mostly" in page
