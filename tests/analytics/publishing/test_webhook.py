"""The report as a message, to a webhook with every habit that webhooks have."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from typing import Any

import msgspec
import pytest

from tests.webhook_server import SECRET, Answer, WebhookServer, refusal
from voxledger.analytics.publishing import (
    ChannelAway,
    ChannelRefused,
    DeliveryUnknown,
    NotDelivered,
    Parcel,
    Webhook,
)
from voxledger.analytics.publishing.message import message
from voxledger.analytics.report import Change, WeeklyReport
from voxledger.catalog import settings

GOING_ON = threading.Event()


def to(url: str, *, timeout: float = 5.0, link: str | None = None) -> Webhook:
    return Webhook(settings.Webhook(url=url, timeout=timeout), lambda _: link)


def test_it_arrives_as_text_and_blocks(webhook: WebhookServer, parcel: Parcel, decisive: Any) -> None:
    assert to(webhook.url, link="https://store/page?a=1&b=2").send(parcel, decisive, GOING_ON) == ""
    (taken,) = webhook.taken
    assert taken["text"].startswith(f"Voxledger, week {parcel.week}: 1 new clip")
    assert [block["type"] for block in taken["blocks"]] == ["header", "section", "section", "section"]
    assert taken["blocks"][-1]["text"]["text"] == "<https://store/page?a=1&b=2|The whole report>"
    assert (webhook.asked, decisive.times) == (1, 1)


def test_a_revision_says_what_changed_and_nothing_of_a_name_is_markup(report: WeeklyReport) -> None:
    row = Change(section="headlines", row="clips", field="value", before=1, after=3)
    name = Change(section="voices", row="<!channel>", field="clips", before=None, after=1)
    made = message(msgspec.structs.replace(report, revision=2, revises=1, changes=(row, name)))
    body = str(made)
    assert "*2 numbers changed since revision 1*\\n• " in body
    assert "1 → 3" in body
    assert "<!channel>" not in body
    assert refusal(SECRET, {"Content-Type": "application/json"}, msgspec.json.encode(made)) == ""


def test_what_people_typed_becomes_no_link_and_cutting_breaks_nothing_apart(report: WeeklyReport) -> None:
    many = tuple(
        msgspec.structs.replace(row, title=f"{'x' * number}{'<&>' * 999}")
        for number, row in enumerate(report.headlines)
    )
    link = f"https://store/page?signature={'s' * 900}"
    made = message(msgspec.structs.replace(report, headlines=many), link)
    texts = [text for block in made["blocks"] for text in [block.get("text"), *block.get("fields", [])] if text]
    assert all(text["verbatim"] is True for text in texts if text["type"] == "mrkdwn")
    fields = [text["text"] for text in made["blocks"][2]["fields"]]
    assert max(len(text) for text in fields) <= 2000
    assert all(re.search(r"&(amp|lt|gt);…$", text) for text in fields), "no entity is cut in two"
    assert texts[-1]["text"] == f"<{link}|The whole report>"
    assert refusal(SECRET, {"Content-Type": "application/json"}, msgspec.json.encode(made)) == ""
    too_long = message(report, f"https://store/{'s' * 3000}")
    assert "https://store" not in str(too_long), "half a link leads nowhere"


@pytest.mark.parametrize(
    ("answer", "kind", "after"),
    [
        (Answer(status=429, headers={"Retry-After": "30"}), ChannelAway, 30.0),
        (Answer(status=503), ChannelAway, None),
        (Answer(status=500), DeliveryUnknown, None),
        (Answer(status=520), DeliveryUnknown, None),
        (Answer(status=524), DeliveryUnknown, None),
        (Answer(status=501), ChannelRefused, None),
        (Answer(status=404), ChannelRefused, None),
        (Answer(status=403), ChannelRefused, None),
        (Answer(status=502), DeliveryUnknown, None),
        (Answer(status=504), DeliveryUnknown, None),
        (Answer(cut=True), DeliveryUnknown, None),
    ],
)
def test_what_it_answers_decides_whether_it_is_tried_again(
    webhook: WebhookServer, parcel: Parcel, decisive: Any, answer: Answer, kind: type[NotDelivered], after: float | None
) -> None:
    webhook.answers.append(answer)
    with pytest.raises(kind) as caught:
        to(webhook.url).send(parcel, decisive, GOING_ON)
    assert getattr(caught.value, "after", None) == after
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert webhook.taken == []
    to(webhook.url).send(parcel, decisive, GOING_ON)
    assert len(webhook.taken) == 1


def test_it_goes_nowhere_else(webhook: WebhookServer, parcel: Parcel, decisive: Any) -> None:
    with WebhookServer() as other:
        webhook.answers.append(Answer(status=307, headers={"Location": other.url}))
        with pytest.raises(ChannelRefused, match="HTTP 307, to go elsewhere, which is not done"):
            to(webhook.url).send(parcel, decisive, GOING_ON)
        assert other.asked == 0


@pytest.mark.parametrize("answer", [Answer(hold=threading.Event()), Answer(trickle=0.05)])
def test_one_that_hangs_is_left_and_nobody_knows(
    webhook: WebhookServer, parcel: Parcel, decisive: Any, answer: Answer
) -> None:
    webhook.answers.append(answer)
    began = time.monotonic()
    with pytest.raises(DeliveryUnknown, match="did not say whether it takes it"):
        to(webhook.url, timeout=0.3).send(parcel, decisive, GOING_ON)
    assert time.monotonic() - began < 3
    assert decisive.times == 1


def test_nobody_there_is_a_reason_to_try_again(parcel: Parcel, decisive: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}{SECRET}"
        with pytest.raises(ChannelAway, match=r"127\.0\.0\.1 cannot be reached \(ConnectionRefusedError\)"):
            to(url).send(parcel, decisive, GOING_ON)
    assert decisive.times == 0


def test_where_there_is_no_trusted_certificate_nothing_is_said(certificate: Any, parcel: Parcel, decisive: Any) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    return

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(ChannelRefused, match="no certificate that is trusted"):
            to(f"https://127.0.0.1:{listener.getsockname()[1]}{SECRET}").send(parcel, decisive, GOING_ON)
        thread.join()
    assert decisive.times == 0


def test_a_proxy_of_the_environment_is_used(
    webhook: WebhookServer, parcel: Parcel, decisive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("http_proxy", webhook.url.partition(SECRET)[0])
    with pytest.raises(ChannelRefused, match=r"hooks\.example\.org answered HTTP 400"):
        to(f"http://hooks.example.org{SECRET}").send(parcel, decisive, GOING_ON)
    assert webhook.asked == 1, "which is no proxy, and says so"


def test_the_address_is_in_no_log(
    webhook: WebhookServer, parcel: Parcel, decisive: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        to(webhook.url).send(parcel, decisive, GOING_ON)
    assert "hunter2" not in caplog.text
    assert "hunter2" not in repr(settings.Webhook(url=webhook.url))
    assert "hunter2" not in to(webhook.url).target
