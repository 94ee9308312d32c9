"""What Mixpanel's answers mean. Pure: an answer in, a verdict out.

Source: https://developer.mixpanel.com/reference/import-events
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

import msgspec

_WORTH_RETRYING = frozenset({408, 425, 429})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back over the wire."""

    status: int
    body: bytes
    retry_after: str | None = None


@dataclass(frozen=True, kw_only=True)
class RefusedRow:
    """One event of the request that Mixpanel will never take as it is."""

    index: int
    field: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """All is in, except these rows."""

    refused: tuple[RefusedRow, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TooLarge:
    """Nothing is in: the request is larger than it may be."""


@dataclass(frozen=True, kw_only=True)
class Later:
    """Nothing is known to be in: ask again, not before `after` seconds when that is given."""

    reason: str
    status: int | None = None
    after: float | None = None


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Nothing is in, and asking again as things are is no use."""

    reason: str
    status: int


Verdict: TypeAlias = Accepted | TooLarge | Later | Refused


def judge(answer: Answer, ids: Sequence[str], *, now: datetime) -> Verdict:
    """What an answer means for a request that carried events with these ids, in this order."""
    content = _content(answer.body)
    status = answer.status
    if status == 200:
        # A captive portal says 200, too: only Mixpanel's own words count.
        if content.get("code") != 200 or _imported(content) is None:
            return Later(reason="its answer is not one that Mixpanel gives", status=status)
        return _accounted(content, (), ids, status)
    if status == 400:
        return _partial(content, ids)
    if status == 413:
        return TooLarge()
    if status in _WORTH_RETRYING or status >= 500:
        reason = _said(content) or {429: "too many requests"}.get(status, "it is out of order")
        return Later(reason=reason, status=status, after=retry_after(answer.retry_after, now=now))
    if status in (401, 403):
        return Refused(reason="the credentials are not right", status=status)
    return Refused(reason=_said(content) or "this is not Mixpanel's /import", status=status)


def judge_profiles(answer: Answer, count: int, *, now: datetime) -> Verdict:
    """What an answer of `/engage` or `/groups` means for a request with so many updates.

    These say 200 also of what they do not take: `1` or `{"status": 1}` when one or more updates are valid, `0` or
    `{"status": 0, "error": …}` when none is, and with `strict=1` which ones are not
    (https://developer.mixpanel.com/reference/profile-set).
    """
    if answer.status not in (200, 400):
        return judge(answer, [], now=now)
    said = answer.body.strip()
    content = _content(said)
    records = content.get("failed_records")
    if isinstance(records, list) and records:
        listed = (record.get("index") if isinstance(record, dict) else None for record in records)
        places = {place for place in listed if isinstance(place, int) and 0 <= place < count}
        return Accepted(refused=tuple(RefusedRow(index=place, field="", reason="") for place in sorted(places)))
    if said == b"1" or content.get("status") in (1, "OK"):
        return Accepted()
    if said == b"0" or content.get("status") == 0 or answer.status == 400:
        return Accepted(
            refused=tuple(RefusedRow(index=place, field="", reason=_said(content)) for place in range(count))
        )
    return Later(reason="its answer is not one that Mixpanel gives", status=answer.status)


def retry_after(header: str | None, *, now: datetime) -> float | None:
    """Seconds to wait by a `Retry-After` header, a number or a date (RFC 9110, 10.2.3); None for anything else."""
    if not header:
        return None
    if re.fullmatch(r"\d{1,9}", header.strip()):
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds())


def readable(text: object) -> str:
    """A foreign text fit for a log line: one line, printable."""
    words = " ".join(str(text).split())
    return "".join(letter for letter in words if letter.isprintable())


def _partial(content: dict[str, Any], ids: Sequence[str]) -> Verdict:
    """A strict 400 lists the refused rows by index; the others are in."""
    records = content.get("failed_records")
    if not isinstance(records, list) or not records:
        return Refused(reason=_said(content) or "it calls the request malformed", status=400)
    rows: dict[int, RefusedRow] = {}
    for record in records:
        index = record.get("index") if isinstance(record, dict) else None
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(ids):
            return Later(reason="it refused rows that were not sent", status=400)
        # The key is `$insert_id` in the reference's text and `insert_id` in its schema.
        named = record.get("$insert_id") or record.get("insert_id")
        if named and named != ids[index]:
            return Later(reason="it refused a row by an index and an id that do not belong together", status=400)
        rows[index] = RefusedRow(
            index=index, field=readable(record.get("field") or ""), reason=readable(record.get("message") or "refused")
        )
    return _accounted(content, tuple(rows[index] for index in sorted(rows)), ids, 400)


def _accounted(content: dict[str, Any], refused: tuple[RefusedRow, ...], ids: Sequence[str], status: int) -> Verdict:
    """Every event is either in or listed as refused; one of which nothing is said might be lost."""
    told = (_imported(content) or 0) + len(refused)
    if told == len(ids) and _imported(content) is not None:
        return Accepted(refused=refused)
    return Later(reason=f"its answer accounts for {told} of {len(ids)} events", status=status)


def _imported(content: dict[str, Any]) -> int | None:
    found = content.get("num_records_imported")
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _content(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(content: dict[str, Any]) -> str:
    error = content.get("error")
    return readable(error) if isinstance(error, str) else ""
