"""The report by mail, to a real SMTP server with every habit that such servers have."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.smtp_server import Fault, SmtpServer
from voxledger.analytics.publishing import (
    ChannelAway,
    ChannelRefused,
    DeliveryUnknown,
    Mail,
    NotDelivered,
    Parcel,
    letter,
)
from voxledger.analytics.publishing.mail import digest
from voxledger.analytics.report import MailParts, WeeklyReport, mail_parts
from voxledger.catalog import settings

ANN, BEN, CYD = "ann@example.org", "ben@example.org", "cyd@example.org"
GOING_ON = threading.Event()


@pytest.fixture(autouse=True)
def _drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts take a second, and the same report looks the same each time."""
    known: dict[tuple[str, int | None, int | None], MailParts] = {}

    def parts(report: WeeklyReport) -> MailParts:
        key = (report.week, report.revision, report.revises)
        if key not in known:
            known[key] = mail_parts(report)
        return known[key]

    monkeypatch.setattr(letter, "mail_parts", parts)


def mail(server: SmtpServer, **changes: Any) -> Mail:
    values = {
        "to": (ANN,),
        "sender": "studio@example.org",
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "timeout": 5.0,
    }
    return Mail(settings.Mail(**(values | changes)))


def test_it_arrives_as_text_and_as_html_under_an_id_that_stays_the_same(
    smtp: SmtpServer, parcel: Parcel, decisive: Any
) -> None:
    for _ in range(2):
        assert mail(smtp, to=(ANN, BEN)).send(parcel, decisive, GOING_ON) == ""
    first, second = smtp.letters
    message = first.message
    assert first.recipients == (ANN, BEN)
    assert (message["From"], message["To"]) == ("Voxledger <studio@example.org>", f"{ANN}, {BEN}")
    assert message["Subject"].startswith(f"Voxledger, week {parcel.week}, not closed yet: ")
    assert message["Message-ID"] == second.message["Message-ID"] == f"<report.{parcel.week}.r1.n0de@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines()[0] == f"Voxledger, week {parcel.week}"
    assert "<!doctype html" in html.get_content().lower()
    assert "<b>&ann" not in html.get_content()
    assert decisive.times == 2


def test_lines_are_short_and_in_ascii_and_a_lone_dot_ends_nothing(
    smtp: SmtpServer, parcel: Parcel, decisive: Any
) -> None:
    mail(smtp).send(parcel, decisive, GOING_ON)
    content = smtp.letters[0].content
    assert content.isascii()
    assert max(len(line) for line in content.split(b"\r\n")) <= 998, "RFC 5321, 4.5.3.1.6"
    assert smtp.tried == 1


def test_a_later_revision_answers_the_one_before(smtp: SmtpServer, parcel: Parcel, decisive: Any) -> None:
    second = msgspec.structs.replace(
        parcel, revision=2, report=msgspec.structs.replace(parcel.report, revision=2, revises=1)
    )
    mail(smtp).send(second, decisive, GOING_ON)
    message = smtp.letters[0].message
    assert message["In-Reply-To"] == f"<report.{parcel.week}.r1.n0de@example.org>"
    assert ", revision 2" in message["Subject"]


def test_with_starttls_and_a_password_it_goes_encrypted(
    certificate: tuple[Path, Path], parcel: Parcel, decisive: Any
) -> None:
    with SmtpServer(users={"studio": "hunter2"}, certificate=certificate) as server:
        secure = {"security": "starttls", "user": "studio", "password": "hunter2"}
        with pytest.raises(ChannelRefused, match=r"no certificate that is trusted .*set mail\.ca_file"):
            mail(server, **secure).send(parcel, decisive, GOING_ON)
        assert mail(server, **secure, ca_file=str(certificate[0])).send(parcel, decisive, GOING_ON) == ""
        assert [letter.encrypted for letter in server.letters] == [True]
        with pytest.raises(ChannelRefused, match=r"535 .*check mail\.user and mail\.password") as caught:
            mail(server, **(secure | {"password": "hunter3"}), ca_file=str(certificate[0])).send(
                parcel, decisive, GOING_ON
            )
        assert "hunter" not in str(caught.value)
        with pytest.raises(ChannelRefused, match=r"mail\.ca_file cannot be read"):
            mail(server, **secure, ca_file="/nowhere.pem").send(parcel, decisive, GOING_ON)
    assert decisive.times == 1


def test_with_tls_from_the_first_byte_it_goes_encrypted(
    certificate: tuple[Path, Path], parcel: Parcel, decisive: Any
) -> None:
    with SmtpServer(users={"studio": "hunter2"}, certificate=certificate, implicit=True) as server:
        to = mail(server, security="tls", user="studio", password="hunter2", ca_file=str(certificate[0]))
        assert to.send(parcel, decisive, GOING_ON) == ""
        assert len(server.letters) == 1


def test_addresses_beyond_ascii_go_where_they_are_understood(parcel: Parcel, decisive: Any) -> None:
    with SmtpServer() as server, pytest.raises(ChannelRefused, match="addresses beyond ASCII"):
        mail(server, to=("änne@example.org",)).send(parcel, decisive, GOING_ON)
    with SmtpServer(utf8=True) as server:
        assert mail(server, to=("änne@example.org",)).send(parcel, decisive, GOING_ON) == ""
        assert server.letters[0].recipients == ("änne@example.org",)
        assert "änne@example.org".encode() in server.letters[0].content


def test_without_starttls_at_the_other_side_nothing_goes_in_the_open(
    smtp: SmtpServer, parcel: Parcel, decisive: Any
) -> None:
    with pytest.raises(ChannelRefused, match="does not offer STARTTLS"):
        mail(smtp, security="starttls").send(parcel, decisive, GOING_ON)
    assert (smtp.tried, decisive.times) == (0, 0)


@pytest.mark.parametrize(
    ("at", "reply", "kind"),
    [
        ("mail", "421 busy, come back", ChannelAway),
        ("rcpt", "450 greylisted", ChannelAway),
        ("rcpt", "421 busy, come back", ChannelAway),
        ("data", "451 greylisted", ChannelAway),
        ("data", "452 no room", ChannelAway),
        ("mail", "550 you are not welcome", ChannelRefused),
        ("rcpt", "550 no such user", ChannelRefused),
        ("data", "554 looks like spam", ChannelRefused),
    ],
)
def test_what_a_server_says_decides_whether_it_is_tried_again(
    smtp: SmtpServer, parcel: Parcel, decisive: Any, at: Any, reply: str, kind: type[NotDelivered]
) -> None:
    smtp.faults.append(Fault(at=at, reply=reply))
    with pytest.raises(kind, match=reply) as caught:
        mail(smtp).send(parcel, decisive, GOING_ON)
    assert caught.value.failure == reply[:3]
    assert smtp.letters == []
    assert mail(smtp).send(parcel, decisive, GOING_ON) == ""


def test_recipients_that_have_it_do_not_get_it_again(smtp: SmtpServer, parcel: Parcel, decisive: Any) -> None:
    smtp.faults.append(Fault(at="rcpt", reply="450 greylisted"))
    to = mail(smtp, to=(ANN, BEN, CYD))
    with pytest.raises(ChannelAway, match=f"1 of 3 recipients yet, {ANN} among them: 450") as caught:
        to.send(parcel, decisive, GOING_ON)
    assert caught.value.taken == (digest(BEN), digest(CYD))
    again = msgspec.structs.replace(parcel, taken=caught.value.taken)
    assert to.send(again, decisive, GOING_ON) == ""
    assert [letter.recipients for letter in smtp.letters] == [(BEN, CYD), (ANN,)]
    done = msgspec.structs.replace(parcel, taken=(*caught.value.taken, digest(ANN)))
    assert to.send(done, decisive, GOING_ON) == ""
    assert smtp.tried == 2


def test_a_recipient_that_is_refused_does_not_keep_it_from_the_others(
    smtp: SmtpServer, parcel: Parcel, decisive: Any
) -> None:
    smtp.faults.append(Fault(at="rcpt", reply="550 no such user"))
    said = mail(smtp, to=(ANN, BEN)).send(parcel, decisive, GOING_ON)
    assert said == f"127.0.0.1 refused 1 of 2 recipients, {ANN} among them: 550 no such user"
    assert smtp.letters[0].recipients == (BEN,)


def test_when_the_line_breaks_after_the_dot_nobody_knows(smtp: SmtpServer, parcel: Parcel, decisive: Any) -> None:
    smtp.faults.append(Fault(at="data", cut=True, taken=True))
    with pytest.raises(DeliveryUnknown, match="got the letter and did not say whether it takes it"):
        mail(smtp).send(parcel, decisive, GOING_ON)
    assert (len(smtp.letters), decisive.times) == (1, 1)


@pytest.mark.parametrize("reply", ["200 OK", "251 will forward"])
def test_any_good_answer_to_the_dot_is_a_delivery(smtp: SmtpServer, parcel: Parcel, decisive: Any, reply: str) -> None:
    smtp.faults.append(Fault(at="data", reply=reply, taken=True))
    assert mail(smtp).send(parcel, decisive, GOING_ON) == ""


@pytest.mark.parametrize("reply", ["OK queued", "354 go on", "650 what"])
def test_an_answer_to_the_dot_that_says_neither_leaves_it_unknown(
    smtp: SmtpServer, parcel: Parcel, decisive: Any, reply: str
) -> None:
    smtp.faults.append(Fault(at="data", reply=reply, taken=True))
    with pytest.raises(DeliveryUnknown, match="whether it takes it is not known"):
        mail(smtp).send(parcel, decisive, GOING_ON)


def test_a_server_that_falls_silent_after_the_dot_is_waited_for_but_not_for_ever(
    smtp: SmtpServer, parcel: Parcel, decisive: Any
) -> None:
    silence = threading.Event()
    smtp.faults.append(Fault(at="data", hold=silence))
    began = time.monotonic()
    with pytest.raises(DeliveryUnknown, match="did not say"):
        mail(smtp, timeout=0.1).send(parcel, decisive, GOING_ON)
    assert 0.9 < time.monotonic() - began < 5, "ten times as long as any other step"
    silence.set()


def test_nobody_there_is_a_reason_to_try_again(parcel: Parcel, decisive: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        to = Mail(settings.Mail(to=(ANN,), host="127.0.0.1", port=port, security="none", timeout=1.0))
        with pytest.raises(ChannelAway, match="cannot be reached, or broke off") as caught:
            to.send(parcel, decisive, GOING_ON)
    assert (caught.value.failure, decisive.times) == ("ConnectionRefused", 0)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_server_that_speaks_letter_by_letter_is_left(parcel: Parcel, decisive: Any, stopped: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended, stop = threading.Event(), threading.Event()

        def trickle() -> None:
            connection, _ = listener.accept()
            with connection:
                while not ended.wait(0.05):
                    try:
                        connection.send(b"2")
                    except OSError:
                        return

        thread = threading.Thread(target=trickle)
        thread.start()
        to = Mail(
            settings.Mail(
                to=(ANN,), host="127.0.0.1", port=listener.getsockname()[1], security="none",
                timeout=30.0 if stopped else 0.2,
            )
        )  # fmt: skip
        if stopped:
            threading.Timer(0.2, stop.set).start()
        began = time.monotonic()
        with pytest.raises(ChannelAway):
            to.send(parcel, decisive, stop)
        assert time.monotonic() - began < 5
        ended.set()
        thread.join()
    assert decisive.times == 0


def test_who_stops_does_not_wait_long_for_a_server_that_is_silent(
    smtp: SmtpServer, parcel: Parcel, decisive: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxledger.analytics.publishing.cutting._GRACE", 0.3)
    silence, stop = threading.Event(), threading.Event()
    smtp.faults.append(Fault(at="data", hold=silence))
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(DeliveryUnknown):
        mail(smtp, timeout=30.0).send(parcel, decisive, stop)
    assert time.monotonic() - began < 5
    silence.set()
