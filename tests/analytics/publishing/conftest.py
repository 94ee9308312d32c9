"""What these tests share: a report of a real HOME, and servers that take it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.building import Parts
from tests.smtp_server import SmtpServer, self_made
from tests.webhook_server import WebhookServer
from voxledger.analytics.publishing import Parcel
from voxledger.analytics.report import WeeklyReport, build
from voxledger.catalog.events import now
from voxledger.catalog.settings import Settings


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> WeeklyReport:
    """Of a week with one clip, whose maker has a name full of markup."""
    parts = Parts(tmp_path_factory.mktemp("report") / "home")
    parts.clip(actor="<b>&ann</b>\n.\r\nMAIL FROM:<x@y>", name="tide", voice_name="Ines")
    found = build(parts.keeper, Settings(), now=now())
    parts.close()
    return found


@pytest.fixture
def parcel(report: WeeklyReport) -> Parcel:
    return Parcel(node="n0de", week=report.week, revision=1, report=report)


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with WebhookServer() as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_made(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def decisive() -> Callable[[], None]:
    """Counts, in its attribute `times`, how often a channel came to the point of no return."""

    def step() -> None:
        step.times += 1  # type: ignore[attr-defined]

    step.times = 0  # type: ignore[attr-defined]
    return step
