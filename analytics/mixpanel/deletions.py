"""Deletions: Mixpanel is asked to forget a person, and asked again until it says that it has.

A task in the journal for each request, under a lease: nothing is held in memory, and nobody waits for the weeks that Mixpanel may take.
Source: https://developer.mixpanel.com/reference/gdpr-api (data-deletions v3.0; one request a second).
"""

from __future__ import annotations

import logging
import time
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec
import requests

from voxledger.analytics.mixpanel.answers import readable
from voxledger.analytics.mixpanel.names import NAME
from voxledger.analytics.mixpanel.told_names import ToldNames
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.erasure.subject import Subject
from voxledger.catalog.erasure.targets import NOTHING, Done
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.journal import Task
from voxledger.catalog.progress import Progress
from voxledger.catalog.recorder import SYSTEM, Recorder

KIND = "mixpanel deletion"
"""The kind of task."""
HOSTS = {"us": "https://mixpanel.com", "eu": "https://eu.mixpanel.com", "in": "https://in.mixpanel.com"}
"""Where the application of each region is asked, which is not where a project is fed."""
_PATH = "/api/app/data-deletions/v3.0"
_LEASE = 300.0
_AGAIN = 3600.0
"""Seconds until the next look: a deletion may take 30 days."""
_GONE_WRONG = frozenset({"FAILURE", "REVOKED", "NOT_FOUND"})
"""What is answered by asking anew."""
_log = logging.getLogger(__name__)


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a task."""

    distinct_id: str
    tracking: str = ""


class _Answer(NamedTuple):
    state: Literal["done", "waiting", "again"]
    note: str
    tracking: str = ""


class Deletions:
    """Has a person forgotten in one Mixpanel project."""

    name = NAME

    def __init__(self, settings: catalog_settings.Mixpanel, recorder: Recorder, told: ToldNames) -> None:
        self._settings = settings
        self._told = told
        self._recorder = recorder
        self._journal = recorder.journal

    def preview(self, subject: Subject) -> str:
        """Whether Mixpanel can know the person."""
        if subject.scope != "actor" or not self._journal.cursor(NAME):
            return ""
        names = len(self._told.of(subject.target))
        called = f" and {'a name' if names == 1 else f'{names} names'}" if names else ""
        return f"Mixpanel is asked to delete the events of one opaque id{called}, which takes up to 30 days"

    def erase(self, request: str, subject: Subject, progress: Progress) -> Done:
        """Put a task up for each id that Mixpanel has heard, once, and do of it what can be done now. Voices are never told to Mixpanel."""
        if subject.scope != "actor" or not self._journal.cursor(NAME):
            return NOTHING
        progress("asking Mixpanel", 0, 1)
        if not self._journal.open_tasks(KIND, [request]):
            self._put_up(request, subject.target)
            failpoint("mixpanel.after_queued")
        self._journal.hurry(KIND)
        notes: list[str] = []
        mine = 0
        for task in self._journal.lease(KIND, limit=1000, seconds=_LEASE):
            if task.subject != request:
                with self._journal.transaction() as write:
                    write.release_task(task)
                continue
            mine += 1
            answer = self._ask(task)
            self._settle(task, answer)
            if answer.state != "done":
                notes.append(answer.note)
        if notes or not mine:
            return Done(outcome="waiting", note=notes[0] if notes else "another process is asking Mixpanel right now")
        self._told.forget(subject.target)
        return Done(outcome="done", count=1)

    def _put_up(self, request: str, distinct_id: str) -> None:
        with self._journal.transaction() as write:
            system = self._recorder.vault.actor(SYSTEM)
            for name in (distinct_id, *self._told.of(distinct_id)):
                payload = self._sealed(_Asked(distinct_id=name), request)
                write.add_task(KIND, subject=request, actor=system.id, payload=payload)

    def _sealed(self, asked: _Asked, request: str) -> bytes:
        system = self._recorder.vault.actor(SYSTEM)
        return self._recorder.seal(msgspec.to_builtins(asked), actor=system, about=request)

    def _settle(self, task: Task, answer: _Answer) -> None:
        with self._journal.transaction() as write:
            if answer.state == "done":
                write.finish_task(task)
            elif answer.state == "waiting" and not answer.tracking:
                write.retry_task(task, due=time.time() + _AGAIN, error=answer.note)
            elif write.finish_task(task):  # a payload never changes: the task is put up anew with what is known now
                asked = self._asked(task)
                payload = self._sealed(msgspec.structs.replace(asked, tracking=answer.tracking), task.subject)
                due = time.time() + _AGAIN
                write.add_task(KIND, subject=task.subject, actor=task.actor, payload=payload, due=due)

    def _asked(self, task: Task) -> _Asked:
        content = self._recorder.unseal(task.payload, actor=task.actor, about=task.subject)
        return msgspec.convert(content, _Asked)

    def _ask(self, task: Task) -> _Answer:
        settings, asked = self._settings, self._asked(task)
        if not settings.gdpr_token or not settings.token:
            lacking = "gdpr_token" if settings.token else "token"
            return _Answer(
                "waiting", f"set mixpanel.{lacking} (VOXLEDGER_MIXPANEL_{lacking.upper()}), so that Mixpanel can be asked to delete"
            )  # fmt: skip
        if asked.tracking:
            return self._look(asked)
        content, trouble = self._request("POST", "/", {"distinct_ids": [asked.distinct_id], "compliance_type": "GDPR"})
        tracking = _tracking(content.get("results"))
        if trouble or not tracking:
            return _Answer("waiting", trouble or "Mixpanel's answer names no deletion; it is asked again")
        failpoint("mixpanel.after_asked")
        return _Answer("waiting", "Mixpanel has taken the request and deletes within 30 days", tracking)

    def _look(self, asked: _Asked) -> _Answer:
        content, trouble = self._request("GET", f"/{quote(asked.tracking, safe='')}", None)
        results = content.get("results")
        state = str(results.get("status", "")) if isinstance(results, dict) else ""
        if state == "SUCCESS":
            return _Answer("done", "")
        if state in _GONE_WRONG:
            return _Answer("again", f"Mixpanel says {state} of its deletion; it is asked anew")
        return _Answer("waiting", trouble or f"Mixpanel says {readable(state) or 'nothing'} of its deletion so far")

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[dict[str, Any], str]:
        """What came back, and in words what went wrong."""
        url = address(self._settings)
        host = urlsplit(url).hostname
        try:
            answer = requests.request(
                method,
                f"{url}{_PATH}{path}",
                params={"token": self._settings.token},
                json=body,
                headers={"Authorization": f"Bearer {self._settings.gdpr_token}", "Accept": "application/json"},
                timeout=self._settings.timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return {}, f"{host} could not be reached ({type(error).__name__}); it is asked again"
        try:
            content = answer.json()
        except ValueError:
            content = {}
        if answer.status_code == 200 and isinstance(content, dict) and content.get("status") == "ok":
            return content, ""
        if answer.status_code in (401, 403):
            return (
                {},
                f"{host} refused mixpanel.gdpr_token (HTTP {answer.status_code}): it is an OAuth token and ends after a year",
            )
        return {}, f"{host} did not take the request (HTTP {answer.status_code}); it is asked again"


def address(settings: catalog_settings.Mixpanel) -> str:
    """The URL of the application; a proxy stands for it, too."""
    if not settings.endpoint:
        return HOSTS[settings.region]
    parts = urlsplit(settings.endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def _tracking(results: Any) -> str:
    """The id of a deletion: the reference shows it in a list, as `tracking_id`, and elsewhere as `task_id`."""
    found = results[0] if isinstance(results, list) and results else results
    if not isinstance(found, dict):
        return ""
    return str(found.get("tracking_id") or found.get("task_id") or "")
