"""Reports on their way: made once, sent once, whatever happens to processes, machines, clocks and servers."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import smtplib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

import voxledger
from tests import forking
from tests.building import NOBODY, completed
from tests.s3 import S3Server
from tests.smtp_server import Fault, SmtpServer
from tests.soak import spread
from tests.webhook_server import Answer, WebhookServer
from voxledger.analytics.commands.report import Commands
from voxledger.analytics.publishing import Claims, Mail, NotPublished, PublishingStopped
from voxledger.analytics.report import InvalidWeek, Week, WeeklyReport
from voxledger.catalog import terminal
from voxledger.catalog.events import AudioAccessed, GenerationCancelled, GenerationCompleted, new_id, now
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.probing import learn
from voxledger.ledger import Ledger

_PROCESS = """
import importlib, sys
from datetime import datetime
import voxledger
for module in ("analytics.report.write", "analytics.publishing.bucket"):
    importlib.import_module(f"voxledger.{module}").render_html = lambda *_: "<!doctype html>"
with voxledger.open(sys.argv[1]) as vox:
    vox.reports.publish_due(datetime.fromisoformat(sys.argv[2]))
    vox.reports.deliver()
"""
LATER = Week.of(now()).end - now() + timedelta(hours=30)
"""From now on: then the running week is over, for more than a day, and no other one."""


class Studio:
    """A HOME whose reports go by mail."""

    def __init__(self, path: Path, smtp: SmtpServer, **settings: Any) -> None:
        self.path = path
        self.smtp = smtp
        self.settings = {
            "general_actor": "ann", "report_at": "Mon 00:00", "report_bucket": "", "mail_to": ["ann@example.org"],
            "mail_host": "127.0.0.1", "mail_port": smtp.port, "mail_security": "none", "mail_sender": "studio@example.org",
            "mail_timeout": 5.0,
        } | settings  # fmt: skip

    def open(self, **more: Any) -> Ledger:
        return voxledger.open(self.path, **(self.settings | more))

    def environ(self) -> dict[str, str]:
        return {
            f"VOXLEDGER_{name.upper()}": ",".join(value) if isinstance(value, list) else str(value)
            for name, value in self.settings.items()
        }

    def killed(self, moment: datetime, failpoint: str) -> None:
        environ = {**os.environ, **self.environ(), "VOXLEDGER_FAILPOINT": failpoint}
        done = forking.run(["-c", _PROCESS, self.path, moment.isoformat()], env=environ)
        assert done.returncode == -signal.SIGKILL, done.stderr

    def process(self, moment: datetime) -> forking.Process:
        environ = {**os.environ, **self.environ()}
        return forking.spawn(["-c", _PROCESS, self.path, moment.isoformat()], env=environ, stderr=subprocess.PIPE)


@pytest.fixture
def studio(tmp_path: Path, smtp: SmtpServer) -> Studio:
    found = Studio(tmp_path / "home", smtp)
    with found.open() as vox:
        clip(vox)
    return found


@pytest.fixture
def vox(studio: Studio) -> Iterator[Ledger]:
    with studio.open() as ledger:
        yield ledger


@pytest.fixture(autouse=True)
def _no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages with charts take seconds, and are not what these tests are about."""
    for module in ("report.write", "publishing.bucket"):
        found = importlib.import_module(f"voxledger.analytics.{module}")
        monkeypatch.setattr(found, "render_html", lambda *_: "<!doctype html>")


def clip(vox: Ledger, *, weeks_ago: int = 0, actor: str = "ann") -> GenerationCompleted:
    fact = completed(actor_label=actor)
    draft = vox.recorder.draft(
        fact, subject=new_id(), actor=vox.vault.actor(actor), time=now() - timedelta(weeks=weeks_ago)
    )
    vox.journal.emit(draft)
    return fact


def this_week() -> str:
    return str(Week.of(now()))


def outcomes(vox: Ledger) -> list[tuple[Any, ...]]:
    query = "SELECT week, revision, channel, outcome, failure, attempts FROM report_deliveries ORDER BY position"
    return [tuple(row.values()) for row in vox.catalog.sql(query).rows()]


def published(vox: Ledger) -> list[tuple[Any, ...]]:
    query = 'SELECT week, revision, "by", channels FROM reports ORDER BY position'
    return [tuple(row.values()) for row in vox.catalog.sql(query).rows()]


def state(vox: Ledger, channel: str = "mail") -> str:
    (at,) = (at for at in vox.reports.listed()[0].channels if at.channel == channel)
    return at.state


def test_a_week_that_is_over_is_published_once_and_sent_once(vox: Ledger, smtp: SmtpServer) -> None:
    assert vox.reports.publish_due(now()) == (), "it runs still"
    (made,) = vox.reports.publish_due(now() + LATER)
    assert (made.week, made.revision) == (this_week(), 1)
    assert [file.suffix for file in made.files] == [".html", ".md", ".json"]
    assert [sent.outcome for sent in vox.reports.deliver()] == ["delivered"]
    assert vox.reports.publish_due(now() + LATER) == ()
    assert vox.reports.deliver() == []
    assert published(vox) == [(this_week(), 1, "schedule", ["mail"])]
    assert outcomes(vox) == [(this_week(), 1, "mail", "delivered", None, 1)]
    assert len(smtp.letters) == 1
    assert state(vox) == "delivered"


def test_after_a_fortnight_both_reports_are_there_and_one_letter(vox: Ledger, smtp: SmtpServer) -> None:
    clip(vox, weeks_ago=1)
    weeks = [made.week for made in vox.reports.publish_due(now() + LATER)]
    assert weeks == [str(Week.of(now()).previous()), this_week()]
    vox.reports.deliver()
    (letter,) = smtp.letters
    assert letter.message["Subject"].startswith(f"Voxledger, week {this_week()}: ")
    assert len(list(vox.home.reports.glob("*.html"))) == 2


def test_a_quiet_week_is_reported_and_says_so(vox: Ledger, smtp: SmtpServer) -> None:
    vox.reports.publish_due(now() + LATER)
    made = vox.reports.publish_due(now() + LATER + timedelta(weeks=1))
    assert [row.week for row in made] == [str(Week.of(now()).following())]
    vox.reports.deliver()
    assert "nothing was generated" in smtp.letters[-1].message["Subject"]


def test_where_there_never_was_anything_nothing_is_published(tmp_path: Path, smtp: SmtpServer) -> None:
    with Studio(tmp_path / "new", smtp).open() as vox:
        assert vox.reports.publish_due(now() + LATER) == ()


def test_a_report_that_somebody_looked_at_does_not_count(vox: Ledger, tmp_path: Path) -> None:
    vox.reports.publish(tmp_path / "looked")
    assert published(vox) == [(this_week(), 1, "hand", [])]
    (made,) = vox.reports.publish_due(now() + LATER)
    assert made.revision == 2


def test_an_erasure_in_a_report_that_somebody_looked_at_does_not_count_either(studio: Studio, smtp: SmtpServer) -> None:
    with studio.open() as vox:
        before = str(Week.of(now()).previous())
        clip(vox, weeks_ago=1)
        clip(vox, weeks_ago=1, actor="ben")
        vox.reports.publish(week=before)
        assert vox.erasure.apply(vox.erasure.plan(actor="ben")).finished
        assert published(vox)[-1] == (before, 2, "erasure", [])
        (made,) = vox.reports.publish_due(now())
        vox.reports.deliver()
        assert (made.week, made.revision, len(smtp.letters)) == (before, 3, 1)
        assert vox.reports.due(now()) == []
        vox.erasure.apply(vox.erasure.plan(actor="ann"))
        assert vox.reports.due(now()) == [], "once it was published, an erasure's counts"


def test_late_events_make_a_revision_that_says_what_changed_and_no_letter(vox: Ledger, smtp: SmtpServer) -> None:
    vox.reports.publish_due(now() + LATER)
    clip(vox, actor="ben")
    assert vox.reports.publish_due(now() + timedelta(days=0.9)) == (), "one a day"
    (made,) = vox.reports.publish_due(now() + LATER)
    assert made.revision == 2
    found = vox.reports.revisions.load(made.week, 2)
    assert found is not None
    assert (found.revision, found.revises) == (2, 1)
    assert ("clips", 1, 2) in [(row.row, row.before, row.after) for row in found.changes if row.section == "headlines"]
    vox.reports.deliver()
    assert len(smtp.letters) == 1
    assert published(vox)[-1] == (this_week(), 2, "schedule", [])


def test_people_can_ask_to_be_told_of_revisions(studio: Studio) -> None:
    with studio.open(report_announce="revisions") as vox:
        vox.reports.publish_due(now() + LATER)
        clip(vox, actor="ben")
        vox.reports.publish_due(now() + LATER)
        vox.reports.deliver()
    first, second = (letter.message for letter in studio.smtp.letters)
    assert second["In-Reply-To"] == first["Message-ID"]


def test_what_became_of_clips_since_makes_no_revision_but_any_late_request_does(vox: Ledger) -> None:
    (made,) = vox.reports.publish_due(now() + LATER)
    (row,) = vox.catalog.sql("SELECT id::VARCHAR AS id FROM clips").rows()
    ann = vox.vault.actor("ann")
    vox.journal.emit(
        vox.recorder.draft(AudioAccessed(channel="web", purpose="play"), subject=row["id"], actor=ann, time=now())
    )
    assert vox.reports.due(now() + LATER) == []
    fact = GenerationCancelled(channel="cli", engine="e", text_length=1, elapsed_us=1, actor_label="ann")
    vox.journal.emit(vox.recorder.draft(fact, subject=new_id(), actor=ann, time=now()))
    (again,) = vox.reports.publish_due(now() + LATER)
    found = vox.reports.revisions.load(made.week, again.revision)
    assert found is not None
    assert ("generations", 1, 2) in [(change.row, change.before, change.after) for change in found.changes]


def test_a_broken_mail_server_is_tried_again_until_it_works(vox: Ledger, smtp: SmtpServer) -> None:
    vox.reports.publish_due(now() + LATER)
    smtp.faults += [Fault(at="mail", reply="421 broken"), Fault(at="rcpt", reply="450 greylisted")]
    for said in ("421 broken", "450 greylisted"):
        (sent,) = vox.reports.deliver()
        assert (sent.outcome, said in sent.said) == ("waiting", True)
        assert vox.reports.deliver() == [], "not at once"
        (at,) = vox.reports.listed()[0].channels
        assert (at.state, said in at.said, at.again is not None) == ("waiting", True, True)
        vox.journal.hurry("report delivery")
    (sent,) = vox.reports.deliver()
    assert sent.outcome == "delivered"
    assert outcomes(vox) == [(this_week(), 1, "mail", "delivered", None, 3)]


def test_what_is_broken_for_days_and_many_tries_is_given_up(
    vox: Ledger, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.time() + 4 * 86400
    vox.reports.publish_due(now() + LATER)
    monkeypatch.setattr("voxledger.analytics.publishing.sending.time.time", lambda: later)
    smtp.faults += [Fault(at="mail", reply="421 broken")] * 30
    said = []
    for _ in range(3):
        said += [sent.outcome for sent in vox.reports.deliver()]
        vox.journal.hurry("report delivery")
    assert said == ["waiting"] * 3, "a laptop that slept for four days has tried nothing yet"
    later += 4 * 86400
    while (sent := vox.reports.deliver()[0]).outcome == "waiting":
        vox.journal.hurry("report delivery")
    assert sent.outcome == "given_up"
    assert f"`voxledger report send {this_week()} --channel mail` sends it again" in sent.said
    assert outcomes(vox) == [(this_week(), 1, "mail", "given_up", "421", 12)]


def test_who_has_it_is_not_written_to_again_when_it_was_given_up_for_others(
    studio: Studio, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxledger.analytics.publishing.sending.GIVE_UP", 0.0)
    monkeypatch.setattr("voxledger.analytics.publishing.sending.LEAST_TRIES", 1)
    with studio.open(mail_to=["ann@example.org", "ben@example.org"]) as vox:
        vox.reports.publish_due(now() + LATER)
        smtp.faults.append(Fault(at="rcpt", reply="450 greylisted"))
        assert [sent.outcome for sent in vox.reports.deliver()] == ["given_up"]
        vox.reports.send(this_week(), ["mail"])
        vox.reports.send(this_week(), ["mail"])
        smtp.faults.append(Fault(at="rcpt", reply="450 greylisted"))
        vox.reports.send(this_week(), ["mail"], everyone=True)
        vox.reports.send(this_week(), ["mail"], everyone=True)
    ann, ben = "ann@example.org", "ben@example.org"
    assert [letter.recipients for letter in smtp.letters] == [(ben,), (ann,), (ann, ben), (ben,), (ann, ben)]


def test_a_defect_after_the_point_of_no_return_leaves_it_unknown(
    vox: Ledger, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vox.reports.publish_due(now() + LATER)

    def last_step(mail: Mail, client: smtplib.SMTP, _: Any, decisive: Callable[[], None]) -> None:
        decisive()
        client.send(b"\r\n.\r\n")
        client.getreply()
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(Mail, "_last_step", last_step)
        with pytest.raises(ZeroDivisionError):
            vox.reports.deliver()
    assert (state(vox), len(smtp.letters)) == ("unknown", 1)
    assert "it may have arrived" in vox.reports.listed()[0].channels[0].said
    assert vox.reports.deliver() == []


def test_a_letter_that_waits_and_is_sent_on_purpose_goes_once(vox: Ledger, smtp: SmtpServer) -> None:
    vox.reports.publish_due(now() + LATER)
    (sent,) = vox.reports.send(this_week(), ["mail"])
    assert (sent.outcome, len(smtp.letters)) == ("delivered", 1)
    assert vox.reports.deliver() == []
    assert outcomes(vox) == [(this_week(), 1, "mail", "delivered", None, 1)]


def test_of_a_week_the_newest_letter_goes_and_no_older_one(studio: Studio, smtp: SmtpServer) -> None:
    with studio.open(report_announce="revisions") as vox:
        vox.reports.publish_due(now() + LATER)
        clip(vox)
        vox.reports.publish_due(now() + LATER)
        vox.reports.send(this_week(), ["mail"])
        vox.reports.deliver()
    (letter,) = smtp.letters
    assert ", revision 2" in letter.message["Subject"]


def test_what_may_have_arrived_is_sent_again_on_purpose_only(vox: Ledger, smtp: SmtpServer) -> None:
    vox.reports.publish_due(now() + LATER)
    smtp.faults.append(Fault(at="data", cut=True, taken=True))
    (sent,) = vox.reports.deliver()
    assert sent.outcome == "unknown"
    assert vox.reports.deliver() == []
    vox.journal.hurry("report delivery")
    assert [(again.outcome, len(smtp.letters)) for again in vox.reports.deliver()] == [("unknown", 1)]
    assert state(vox) == "unknown"
    assert vox.status().parked[0].subject == f"{this_week()} r1 mail"
    (again,) = vox.reports.send(this_week(), ["mail"])
    assert (again.outcome, len(smtp.letters)) == ("delivered", 2)
    assert smtp.letters[0].message["Message-ID"] == smtp.letters[1].message["Message-ID"]
    assert [row[3] for row in outcomes(vox)] == ["unknown", "unknown", "delivered"]
    assert vox.status().parked == ()


def test_what_arrived_is_listed_as_that_beside_a_refusal_when_it_was_sent_once_more(
    vox: Ledger, smtp: SmtpServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vox.reports.publish_due(now() + LATER)
    vox.reports.deliver()
    (before,) = vox.reports.listed()[0].channels
    smtp.faults.append(Fault(at="mail", reply="550 go away"))
    assert [sent.outcome for sent in vox.reports.send(this_week(), ["mail"])] == ["refused"]
    (after,) = vox.reports.listed()[0].channels
    assert (before.state, before.arrived) == ("delivered", before.time)
    assert (after.state, after.arrived) == ("refused", before.time)
    monkeypatch.setattr(terminal.console, "_width", 140)
    Commands(lambda: nullcontext(vox)).list_()
    assert "delivered, then refused" in capsys.readouterr().out


def test_a_webhook_that_hangs_keeps_the_mail_from_nobody(studio: Studio, webhook: WebhookServer) -> None:
    hanging = threading.Event()
    webhook.answers.append(Answer(hold=hanging))
    with studio.open(webhook_url=webhook.url, webhook_timeout=0.3) as vox:
        vox.reports.publish_due(now() + LATER)
        assert [(sent.channel, sent.outcome) for sent in vox.reports.deliver()] == [
            ("mail", "delivered"),
            ("webhook", "unknown"),
        ]
        hanging.set()
        assert vox.reports.deliver() == []
        assert "hunter2" not in str(vox.status()) + str(vox.reports.listed())
    assert webhook.asked == 1


def test_who_is_asked_to_wait_waits(studio: Studio, webhook: WebhookServer) -> None:
    webhook.answers.append(Answer(status=429, headers={"Retry-After": "600"}))
    with studio.open(webhook_url=webhook.url) as vox:
        vox.reports.publish_due(now() + LATER)
        sent = vox.reports.deliver()[-1]
        assert sent.again is not None
        assert 590 < sent.again - now().timestamp() <= 601


@pytest.mark.parametrize(
    ("place", "letters", "outcome"),
    spread(
        [
            ("reports.after_files", 1, "delivered"),
            ("reports.after_recorded", 1, "delivered"),
            ("reports.before_sending", 1, "delivered"),
            ("reports.after_sending", 1, "unknown"),
            ("reports.after_delivered", 1, "delivered"),
        ]
    ),
)
def test_who_is_killed_at_any_moment_sends_nothing_twice(
    studio: Studio, place: str, letters: int, outcome: str
) -> None:
    moment = now() + LATER
    studio.killed(moment, place)
    with studio.open() as vox:
        vox.reports.publish_due(moment)
        vox.reports.deliver()
        vox.reports.deliver()
        assert [row[3] for row in outcomes(vox)] == [outcome]
        assert [row[:2] for row in published(vox)] == [(this_week(), 1)]
    assert len(studio.smtp.letters) == letters


def test_processes_at_once_publish_and_send_once(studio: Studio) -> None:
    moment = now() + LATER
    crowd = [studio.process(moment) for _ in range(3)]
    for process in crowd:
        assert process.wait(120) == 0, process.communicate()[1]
        process.communicate()
    with studio.open() as vox:
        vox.reports.deliver()
        assert [row[3] for row in outcomes(vox)] == ["delivered"]
        assert len(published(vox)) == 1
    assert len(studio.smtp.letters) == 1


def stored(server: S3Server, bucket: str) -> dict[str, Any]:
    settings = server.settings()
    return {
        "store_endpoint": settings.endpoint, "store_access_key": settings.access_key, "store_secret_key": settings.secret_key,
        "store_events": bucket, "store_audio": bucket, "report_bucket": bucket,
    }  # fmt: skip


@pytest.mark.every_server
def test_two_copies_of_a_home_send_one_letter(tmp_path: Path, smtp: SmtpServer, s3: S3Server, bucket: str) -> None:
    original = Studio(tmp_path / "home", smtp, **stored(s3, bucket))
    with original.open() as vox:
        clip(vox)
        assert "nobody has tried" in vox.reports.standing(now()).claims
        learn(vox.home, vox.store)
        said = "" if s3.ceph else "that wake in the same second would both send"
        assert said in vox.reports.standing(now()).claims
        assert bool(said) == bool(vox.reports.standing(now()).claims)
    shutil.copytree(original.path, tmp_path / "copy")
    copy = Studio(tmp_path / "copy", smtp, **stored(s3, bucket))
    for studio in (original, copy):
        with studio.open() as vox:
            vox.reports.publish_due(now() + LATER)
            sent = vox.reports.deliver()
            expected = "delivered" if studio is original else "elsewhere"
            assert [(row.channel, row.outcome) for row in sent] == [("bucket", expected), ("mail", expected)]
            assert state(vox) == expected
    assert len(smtp.letters) == 1


def test_of_copies_that_claim_at_once_one_may_go_on_where_the_store_tells_them_apart(
    tmp_path: Path, ceph_store: S3Server, bucket: str
) -> None:
    homes = [Home.open(tmp_path / f"home{number}") for number in range(8)]
    stores = [Store(home, ceph_store.settings()) for home in homes]
    stores[0].ensure_bucket(bucket)
    for home, store in zip(homes, stores, strict=True):
        home.journal.touch()
        learn(home, store) if home is homes[0] else shutil.copy(homes[0].path / "store.features.json", home.path)
    claims = [
        Claims(home, partial(lambda store: store, store), bucket) for home, store in zip(homes, stores, strict=True)
    ]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda claim: claim.take("n0de/2026-W47/r1/mail"), claims))
    assert taken.count(True) == 1
    assert [claim.take("n0de/2026-W47/r1/mail") for claim in claims] == taken, "and it stays so"


def test_each_revision_lies_in_the_bucket_and_the_message_leads_to_it(
    tmp_path: Path, smtp: SmtpServer, s3: S3Server, bucket: str, webhook: WebhookServer
) -> None:
    studio = Studio(tmp_path / "home", smtp, **stored(s3, bucket), webhook_url=webhook.url, webhook_link="1d")
    with studio.open() as vox:
        clip(vox)
        vox.reports.publish_due(now() + LATER)
        vox.reports.deliver()
        clip(vox)
        vox.reports.publish_due(now() + LATER)
        vox.reports.deliver()
        prefix = f"{vox.journal.node}/{this_week()}"
        keys = {info.key for info in vox.store.list(bucket, prefix) if not info.key.endswith(".claim")}
        assert keys == {f"{prefix}/r{n}/report.{kind}" for n in (1, 2) for kind in ("html", "md", "json")}
        kept = msgspec.json.decode(vox.store.get(bucket, f"{prefix}/r2/report.json"), type=WeeklyReport)
        assert (kept.revision, kept.revises) == (2, 1)
        assert vox.reports.listed()[0].channels[0].state == "delivered"
        link = webhook.taken[0]["blocks"][-1]["text"]["text"]
        assert f"/{prefix}/r1/report.html?" in link
        for path in (vox.home.reports / "revisions").iterdir():
            path.unlink()
        assert vox.reports.revisions.load(this_week(), 2) == kept, "the bucket remembers, too"


def test_a_store_that_is_away_is_waited_for_and_keeps_mail_waiting_too_where_copies_might_send(
    tmp_path: Path, smtp: SmtpServer
) -> None:
    studio = Studio(
        tmp_path / "home",
        smtp,
        store_endpoint=NOBODY,
        store_access_key="a",
        store_secret_key="s",
        report_bucket="reports",
    )
    with studio.open() as vox:
        clip(vox)
        vox.reports.publish_due(now() + LATER)
        sent = vox.reports.deliver()
        assert [row.outcome for row in sent] == ["waiting", "waiting"]
        assert "nobody can tell whether a copy of this HOME sends it" in sent[1].said
    assert smtp.letters == []


def test_a_clock_that_was_set_back_stops_what_nobody_knows_to_be_over(vox: Ledger) -> None:
    clip(vox, weeks_ago=2)
    with pytest.raises(PublishingStopped, match="no report is published: the clock lies before the newest event"):
        vox.reports.publish_due(now() - timedelta(days=2))
    assert published(vox) == []


def test_a_clock_that_the_stores_contradicts_stops_it_too(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    probing = importlib.import_module("voxledger.catalog.objects.probing.probe")
    monkeypatch.setattr(probing, "greeting", lambda _: ("", -8 * 86400.0))
    with studio.open(store_endpoint=NOBODY) as vox:
        with pytest.raises(PublishingStopped, match="the store's clock is 11,520 minutes behind ours"):
            vox.reports.publish_due(now() + LATER)
        assert published(vox) == []


def test_a_clock_that_jumps_ahead_tells_no_week_that_runs_as_over(
    studio: Studio, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, steady = _clocks(monkeypatch)
    before = str(Week.of(now()).previous())
    with studio.open() as vox:
        assert vox.reports.publish_due(now()) == ()
        clip(vox, weeks_ago=1)
        wall[0] += LATER.total_seconds()
        said = f"the clock went ahead by {LATER.total_seconds() / 60:,.0f} minutes at once"
        with pytest.raises(PublishingStopped, match=f"the report of {this_week()} waits: {said}"):
            vox.reports.publish_due(now() + LATER)
        assert [row[0] for row in published(vox)] == [before], "that is over by either clock"
    with studio.open() as vox:
        with pytest.raises(PublishingStopped, match=said):  # whoever starts anew is no wiser
            vox.reports.publish_due(now() + LATER)
        for clock in (wall, steady):
            clock[0] += 86400
        assert [made.week for made in vox.reports.publish_due(now() + LATER)] == [this_week()]


def test_a_machine_that_slept_has_a_clock_that_is_believed(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = _clocks(monkeypatch)
    assert vox.reports.publish_due(now()) == ()
    for clock in clocks:
        clock[0] += 8 * 86400
    assert len(vox.reports.publish_due(now() + LATER)) == 1


def _clocks(monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[float]]:
    found = [time.time()], [1000.0]
    for name, clock in zip(("wall", "steady"), found, strict=True):
        monkeypatch.setattr(f"voxledger.analytics.publishing.watch.{name}", partial(lambda clock: clock[0], clock))
    return found


def test_a_week_that_a_wrong_clock_told_as_over_is_told_again_when_it_is(
    studio: Studio, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    present, over = now(), Week.of(now()).end + timedelta(hours=1)

    def at(moment: datetime) -> None:
        for module in ("journal.transaction", "recorder", "events.envelope"):
            monkeypatch.setattr(f"voxledger.catalog.{module}.now", lambda: moment)

    with studio.open() as vox:
        at(present + LATER)
        assert len(vox.reports.publish_due(present + LATER)) == 1
        vox.reports.deliver()
        at(present)
        clip(vox)
        at(over)
        with pytest.raises(PublishingStopped, match="the clock lies before the newest event"):
            vox.reports.publish_due(over)
    told = (present + LATER + timedelta(minutes=1)).strftime("%Y-%m-%d %H:%M")
    with studio.open(retention_wrong_clock_until=told) as vox:
        (made,) = vox.reports.publish_due(over)
        vox.reports.deliver()
        assert (made.week, made.revision) == (str(Week.of(present)), 2)
        assert published(vox)[-1] == (made.week, 2, "schedule", ["mail"])
        assert vox.reports.publish_due(over) == ()
    assert len(smtp.letters) == 2


def test_a_week_in_the_future_and_a_channel_that_is_not_set_up_are_one_line_each(vox: Ledger) -> None:
    following = str(Week.of(now()).following())
    with pytest.raises(InvalidWeek, match=f"week {following} has not begun"):
        vox.reports.send(following)
    with pytest.raises(NotPublished, match=r"webhook is not set up: set webhook\.url"):
        vox.reports.send(this_week(), ["webhook"])
    assert published(vox) == []


def test_a_week_without_a_report_gets_one_when_it_is_sent(vox: Ledger, smtp: SmtpServer) -> None:
    before = str(Week.of(now()).previous())
    clip(vox, weeks_ago=1)
    (sent,) = vox.reports.send(before)
    assert sent.outcome == "delivered"
    assert published(vox) == [(before, 1, "send", ["mail"])]
    assert [str(row.week) for row in vox.reports.due(now() + LATER)] == [this_week()]
    vox.reports.send(before)
    assert len(smtp.letters) == 2


def test_a_report_that_is_sent_again_says_that_late_events_wait_for_the_next_revision(
    vox: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    before, long_ago = (str(Week.of(now()).previous(back)) for back in (1, 20))
    send = Commands(lambda: nullcontext(vox)).send  # type: ignore[arg-type]  # a ledger that stays open
    for week, back in ((before, 1), (long_ago, 20)):
        clip(vox, weeks_ago=back)
        send(week)
        assert capsys.readouterr().err == ""
        clip(vox, weeks_ago=back)
        send(week)
        said = capsys.readouterr().err
        assert f"This is revision 1 of {week}. Events of the week arrived after it was made: " in said
        assert ("they wait for the next one, which `voxledger serve` makes, at most one a day" in said) == (
            week == before
        )
        assert ("no revision is made of it any more" in said) == (week == long_ago)
    assert [row[1] for row in published(vox)] == [1, 1]


@pytest.mark.parametrize("link", ["0", "1d"])
def test_a_report_made_for_a_message_goes_into_the_bucket_only_where_the_message_links_to_it(
    tmp_path: Path, smtp: SmtpServer, s3: S3Server, bucket: str, webhook: WebhookServer, link: str
) -> None:
    studio = Studio(tmp_path / "home", smtp, **stored(s3, bucket), webhook_url=webhook.url, webhook_link=link)
    with studio.open() as vox:
        clip(vox, weeks_ago=1)
        sent = vox.reports.send(str(Week.of(now()).previous()), ["webhook"])
        assert [one.channel for one in sent] == (["webhook"] if link == "0" else ["bucket", "webhook"])
        assert ("The whole report" in str(webhook.taken)) == (link != "0")


def test_what_is_wanted_of_an_erased_person_is_made_again_without_them(
    tmp_path: Path, smtp: SmtpServer, s3: S3Server, bucket: str
) -> None:
    studio = Studio(tmp_path / "home", smtp, **stored(s3, bucket))
    with studio.open() as vox:
        clip(vox, actor="Zanzibar")
        clip(vox, actor="ben")
        vox.reports.publish_due(now() + LATER)
        smtp.faults.append(Fault(at="mail", reply="421 later"))
        assert [sent.outcome for sent in vox.reports.deliver()] == ["delivered", "waiting"]
        prefix = f"{vox.journal.node}/{this_week()}"
        assert b"Zanzibar" in vox.store.get(bucket, f"{prefix}/r1/report.json")
        plan = vox.erasure.plan(actor="Zanzibar")
        assert any("1 stored weekly report is written anew" in words for words in plan.elsewhere)
        assert not any("cannot be called back" in words for words in plan.elsewhere)
        done = vox.erasure.apply(plan)
        assert done.finished, done
        vox.journal.hurry("report delivery")
        assert [sent.outcome for sent in vox.reports.deliver()] == ["delivered", "delivered"]
        found = {info.key for info in vox.store.list(bucket, prefix) if not info.key.endswith(".claim")}
        assert found == {f"{prefix}/r2/report.{kind}" for kind in ("html", "md", "json")}
        assert not any(b"Zanzibar" in vox.store.get(bucket, key) for key in found)
        plan = vox.erasure.plan(actor="ben")
        assert any("went out by mail or webhook and cannot be called back" in words for words in plan.elsewhere)
    assert b"Zanzibar" not in smtp.letters[0].content
    left = [
        path for path in (studio.path / "reports").rglob("*") if path.is_file() and b"Zanzibar" in path.read_bytes()
    ]
    assert left == []
