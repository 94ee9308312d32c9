"""A stand-in for Mixpanel's `/import`, `/engage`, `/groups`, raw export and GDPR deletions, on loopback, as strict as documented.

Rules are cited by the page that states them:
[import]     https://developer.mixpanel.com/reference/import-events
[dedup]      https://developer.mixpanel.com/reference/event-deduplication
[engage]     https://developer.mixpanel.com/reference/profile-set
[engage max] https://developer.mixpanel.com/reference/user-profile-limits
[groups]     https://developer.mixpanel.com/reference/group-batch-update
[groups max] https://developer.mixpanel.com/reference/limits-1
[export]     https://developer.mixpanel.com/reference/raw-event-export
[export all] https://docs.mixpanel.com/reference/raw-data-export-api
[lexicon]    https://developer.mixpanel.com/reference/upload-schemas-for-project
[gdpr]       https://developer.mixpanel.com/reference/gdpr-api
[no user]    https://docs.mixpanel.com/troubleshooting/errors/server-side-events-without-a-user

`python -m tests.mixpanel_server [TOKEN] [--keep] [--unchecked]` serves one in a process of its own until its standard input ends,
and prints its address. With `--keep` it can export; with `--unchecked` it looks at nothing and says yes to everything.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MOST_EVENTS = 2000
MOST_BYTES = 2_097_152
MOST_EVENT_BYTES = 1_000_000
MOST_PROPERTIES = 255
MOST_UPDATES = 2000
MOST_UPDATE_BYTES = 1_000_000
DEEPEST = 3
LONGEST_STRING = 255
EARLIEST = 365 * 86_400
"""1971-01-01 in seconds."""
LATEST_AHEAD = 3600
BANNED = frozenset({
    "anonymous", "null", "none", "nil", "n/a", "na", "undefined", "unknown", "0", "-1", "true", "false", "[]", "{}",
    "00000000-0000-0000-0000-000000000000",
})  # fmt: skip
DELETIONS = "/api/app/data-deletions/v3.0/"
_INSERT_ID = re.compile(r"[A-Za-z0-9-]{1,36}")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What to do in place of the next answer.

    `ingest`: take the events in before going wrong. `cut`: break the connection in the middle of the answer.
    `hold`: answer only when this event is set. `trickle`: seconds between two bytes of the answer's body. Without
    `status` and `cut` the answer itself is the ordinary one.
    """

    status: int = 0
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    ingest: bool = False
    cut: bool = False
    hold: threading.Event | None = None
    trickle: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it came in; `body` is uncompressed, `status` what was answered (0 = connection broken)."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    events: tuple[dict[str, Any], ...]
    status: int


class MixpanelServer:
    """Serves `/import` in a thread until the `with` ends. `url` is what `mixpanel.endpoint` takes."""

    def __init__(
        self,
        *,
        token: str = "token",
        accounts: Mapping[str, tuple[str, str]] | None = None,
        most_bytes: int = MOST_BYTES,
        gdpr_token: str = "",
    ) -> None:
        """`accounts`: user name -> (secret, project id). `gdpr_token` is the OAuth token of the GDPR API."""
        self.gdpr_token = gdpr_token
        self.deletions: dict[str, str] = {}
        """Status of the deletion of each distinct id that was asked for [gdpr]; a test sets it."""
        self._tracked: dict[str, str] = {}
        self.token = token
        self.accounts = dict(accounts or {})
        self.most_bytes = most_bytes
        self.faults: deque[Fault] = deque()
        self.refuse: dict[str, tuple[str, str]] = {}
        """Events refused in strict mode beyond the documented rules: `$insert_id` -> (field, message)."""
        self.requests: list[Request] = []
        self.events: dict[tuple[str, str, float, str], dict[str, Any]] = {}
        """What analysts see: one event per (event, distinct_id, time, $insert_id) [dedup]."""
        self.arrivals: list[dict[str, Any]] = []
        """The same with repeats, as the raw export has it [export all]; kept when `keep_arrivals` is set."""
        self.keep_arrivals = True
        self.unchecked = False
        """Say yes without a look, for measuring who sends."""
        self.profiles: dict[str, dict[str, Any]] = {}
        """Properties of each user profile by distinct id [engage]."""
        self.groups: dict[tuple[str, str], dict[str, Any]] = {}
        """Properties of each group by key and id [groups]."""
        self.received = 0
        """Events taken in, repeats included."""
        self.holding = threading.Event()
        """Set when an answer is being held."""
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.mixpanel = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> MixpanelServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, handler: _Handler, raw: bytes) -> tuple[int, bytes, Mapping[str, str], Fault]:
        """Status, body, headers, and what to do wrong while they go out."""
        if self.unchecked:
            count = _readable(handler.headers.get("Content-Encoding", ""), raw).count(b"\n") + 1
            # The library takes only 1 for a good status, and raises KeyError for "OK".
            return 200, b'{"code":200,"num_records_imported":%d,"status":1}' % count, {}, Fault()
        with self._lock:
            fault = self.faults.popleft() if self.faults else Fault()
        if fault.hold:
            self.holding.set()
            fault.hold.wait(30)
        headers: Mapping[str, str] = {}
        wrong = fault.status or fault.cut
        with self._lock:
            body = b""
            events: tuple[dict[str, Any], ...] = ()
            if wrong and not fault.ingest:
                status, answer, headers = fault.status, fault.body, fault.headers
                body = _readable(handler.headers.get("Content-Encoding", ""), raw)
            else:
                status, content, body, events = self._import(handler, raw)
                answer = json.dumps(content).encode()
                if wrong:
                    status, answer, headers = fault.status or status, fault.body or answer, fault.headers
            self.requests.append(
                Request(
                    path=handler.path,
                    headers=dict(handler.headers),
                    body=body,
                    events=events,
                    status=0 if fault.cut else status,
                )
            )
        return status or 200, answer, headers, fault

    def export(self, query: Mapping[str, str]) -> tuple[int, bytes]:
        """The raw export: one event a line, by whole days in UTC, `time` in seconds, not deduplicated [export] [export all]."""
        first, last = query.get("from_date", ""), query.get("to_date", "")
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", first) or not re.fullmatch(r"\d{4}-\d\d-\d\d", last):
            return 400, b"from_date and to_date are required, as yyyy-mm-dd"
        lines = []
        with self._lock:
            arrivals = list(self.arrivals)
        for event in arrivals:
            seconds = int(_milliseconds(event["properties"]["time"]) // 1000)
            if first <= time.strftime("%Y-%m-%d", time.gmtime(seconds)) <= last:
                properties = {name: value for name, value in event["properties"].items() if name != "token"}
                lines.append(json.dumps({"event": event["event"], "properties": {**properties, "time": seconds}}))
        return 200, "".join(f"{line}\n" for line in lines).encode()

    def update(self, handler: _Handler, raw: bytes) -> tuple[int, dict[str, Any]]:
        """`/engage` and `/groups`: a JSON array of updates, not compressed; 200 also for what is not valid [engage] [groups].

        `$ip` and `$time` may stand in an update. With `strict=1` the answer lists what is not valid; the reference does not show
        how, so it is done here as `/import` does it.
        """
        target = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        with self._lock:
            fault = self.faults.popleft() if self.faults else Fault()
        try:
            updates = json.loads(raw) if handler.headers.get("Content-Encoding", "") != "gzip" else None
        except ValueError:
            updates = None
        status, content = 200, {"status": 0, "error": "data, missing or empty"}
        if fault.status:
            status, content = fault.status, {"error": "unavailable", "status": "error"}
        elif isinstance(updates, list) and updates and len(updates) <= MOST_UPDATES:
            status, content = self._update(target.path, updates, strict=query.get("strict") == "1")
        with self._lock:
            self.requests.append(
                Request(
                    path=handler.path,
                    headers=dict(handler.headers),
                    body=raw,
                    events=tuple(updates or ()),
                    status=status,
                )
            )
        return status, content

    def _update(self, path: str, updates: list[Any], *, strict: bool) -> tuple[int, dict[str, Any]]:
        failed = []
        for index, update in enumerate(updates):
            if found := invalid_update(path, update):
                failed.append({"index": index, "field": found[0], "message": found[1]})
                continue
            if update["$token"] != self.token:  # a token that is nobody's is not told [engage]
                continue
            with self._lock:
                if path == "/engage":
                    place = self.profiles.setdefault(update["$distinct_id"], {})
                else:
                    place = self.groups.setdefault((update["$group_key"], update["$group_id"]), {})
                place |= _cut(update["$set"])
        if failed and strict:
            return 200, {
                "status": 0,
                "error": "some data points in the request failed validation",
                "failed_records": failed,
            }
        return 200, {
            "status": int(len(failed) < len(updates)),
            "error": None if len(failed) < len(updates) else "invalid",
        }

    def delete(self, handler: _Handler, raw: bytes | None) -> tuple[int, dict[str, Any]]:
        """`data-deletions/v3.0`: a POST asks to delete distinct ids, a GET with a tracking id says how far it is [gdpr]."""
        target = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        if handler.headers.get("Authorization", "") != f"Bearer {self.gdpr_token}" or not self.gdpr_token:
            return 401, {"status": "error", "error": "Unauthorized"}
        if query.get("token") != self.token:
            return 403, {"status": "error", "error": "Forbidden"}
        with self._lock:
            if raw is None:
                who = self._tracked.get(target.path.rstrip("/").rpartition("/")[2])
                status = self.deletions.get(who, "UNKNOWN") if who else "NOT_FOUND"
                return 200, {"status": "ok", "results": {"status": status, "result": "", "distinct_ids": [who]}}
            asked = json.loads(raw)
            ids = asked["distinct_ids"]
            if asked["compliance_type"] not in ("GDPR", "CCPA") or not 0 < len(ids) < 2000:
                return 400, {"status": "error", "error": "Bad Request"}
            results = []
            for who in ids:
                tracking = str(1583792934719392965 + len(self._tracked))
                self._tracked[tracking] = who
                self.deletions[who] = "PENDING"
                results.append(
                    {"status": "PENDING", "tracking_id": tracking, "compliance_type": "gdpr", "distinct_id_count": 1}
                )
            return 200, {"status": "ok", "results": results}

    def _import(self, handler: _Handler, raw: bytes) -> tuple[int, dict[str, Any], bytes, tuple[dict[str, Any], ...]]:
        """Checks in the order in which the service can make them: address, credentials, encoding, size, then rows."""
        target = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        if target.path != "/import":
            return 404, _error(404, "no such page", "Not Found"), b"", ()
        if not self._authenticated(handler.headers.get("Authorization", ""), query.get("project_id", "")):
            return 401, _error(401, "Invalid credentials", "Unauthorized"), b"", ()
        body = _readable(handler.headers.get("Content-Encoding", ""), raw)
        if len(body) > self.most_bytes:
            return 413, _too_large(f"{self.most_bytes} bytes"), body, ()
        events = _parse(handler.headers.get("Content-Type", ""), body)
        if events is None:
            return 400, _error(400, "some data points in the request could not be parsed", "Bad Request"), body, ()
        if len(events) > MOST_EVENTS:
            return 413, _too_large(f"{MOST_EVENTS} events"), body, ()
        status, content = self._take(events, strict=query.get("strict") == "1")
        return status, content, body, tuple(event for event in events if isinstance(event, dict))

    def _take(self, events: list[Any], *, strict: bool) -> tuple[int, dict[str, Any]]:
        """A strict 400 is a partial success: the listed rows are refused, the others are in [import]."""
        failed = []
        for index, event in enumerate(events):
            found = invalid(event) or self.refuse.get(event["properties"]["$insert_id"])
            if found:
                properties = event.get("properties") if isinstance(event, dict) else None
                identity = properties.get("$insert_id", "") if isinstance(properties, dict) else ""
                failed.append({"index": index, "$insert_id": identity, "field": found[0], "message": found[1]})
                continue
            properties = event["properties"]
            # `$ignore` drops an event without a word [import].
            if "$ignore" not in properties:
                key = (
                    event["event"],
                    properties["distinct_id"],
                    _milliseconds(properties["time"]),
                    properties["$insert_id"],
                )
                kept = self.events[key] = _cut(event) if _may_be_long(properties) else event
                if self.keep_arrivals:
                    self.arrivals.append(kept)
                self.received += 1
        imported = len(events) - len(failed)
        if failed and strict:
            content = _error(400, "some data points in the request failed validation", "Bad Request")
            return 400, content | {"num_records_imported": imported, "failed_records": failed}
        return 200, {"code": 200, "num_records_imported": imported, "status": "OK"}

    def _authenticated(self, header: str, project: str) -> bool:
        """Basic auth: a service account with its project, or the token with an empty password [import]."""
        kind, _, encoded = header.partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return False
        if kind != "Basic":
            return False
        if user in self.accounts:
            return self.accounts[user] == (password, project)
        return bool(user) and user == self.token and not password


def invalid(event: Any) -> tuple[str, str] | None:
    """The field and the complaint of strict validation [import]; None for a good event."""
    if not isinstance(event, dict):
        return "", "must be an object"
    if not isinstance(event.get("event"), str) or not event["event"]:
        return "event", "'event' must be a string that is not empty"
    properties = event.get("properties")
    if not isinstance(properties, dict):
        return "properties", "'properties' must be an object"
    return _invalid_required(properties) or _invalid_shape(event, properties)


def invalid_update(path: str, update: Any) -> tuple[str, str] | None:
    """The field and the complaint for an update of a profile [engage] or a group [groups]; None for a good one."""
    if not isinstance(update, dict):
        return "", "must be an object"
    if len(json.dumps(update).encode()) > MOST_UPDATE_BYTES:  # [engage max] [groups max]
        return "", "the update is larger than 1 MB"
    for name in ("$token", "$distinct_id") if path == "/engage" else ("$token", "$group_key", "$group_id"):
        if not isinstance(update.get(name), str) or not update[name]:
            return name, f"'{name}' must be a string that is not empty"
    if not isinstance(update.get("$set"), dict):
        return "$set", "'$set' must be an object"
    return None


def invalid_lexicon(content: Any) -> str:
    """What is wrong with a list of schemas for upload [lexicon]; empty when nothing is."""
    if not isinstance(content, dict) or set(content) - {"entries", "truncate"} or "entries" not in content:
        return "it is an object with `entries` and `truncate` only"
    for entry in content["entries"]:
        name = entry.get("name")
        if (
            set(entry) - {"entityType", "name", "schemaJson"}
            or entry.get("entityType") not in ("event", "profile")
            or not name
        ):
            return f"{name}: an entry has an entityType (event, profile), a name and a schemaJson"
        if entry["entityType"] == "profile" and name != "$user":
            return f"{name}: the schema of user profiles is called $user"
        schema = entry["schemaJson"]
        if set(schema) - {"$schema", "description", "required", "additionalProperties", "properties", "metadata"}:
            return f"{name}: a schema has no such key"
        for called, given in schema["properties"].items():
            if given.get("type") not in ("array", "boolean", "integer", "null", "number", "object", "string"):
                return f"{name}.{called}: no such type"
            if set(given) - {"type", "description", "metadata"}:
                return f"{name}.{called}: a property has type, description and metadata only"
        known = {"$source", "displayName", "tags", "hidden", "dropped", "contacts", "teamContacts"}
        if set(schema.get("metadata", {}).get("com.mixpanel", {})) - known:
            return f"{name}: metadata has no such key"
    return ""


def _invalid_required(properties: dict[str, Any]) -> tuple[str, str] | None:
    """`time` (s or ms, from 1971 to an hour ahead), `distinct_id` and `$insert_id` are required [import]."""
    moment = properties.get("time")
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        return (
            "properties.time",
            "'properties.time' is invalid: must be specified as seconds or milliseconds since epoch",
        )
    if not EARLIEST <= _milliseconds(moment) / 1000 <= time.time() + LATEST_AHEAD:
        return "properties.time", "'properties.time' is invalid: must be between 1971-01-01 and an hour from now"
    who = properties.get("distinct_id")
    # An empty one belongs to no user and is fine [no user].
    if not isinstance(who, str) or who.lower() in BANNED:
        return "properties.distinct_id", "'properties.distinct_id' is missing or not allowed"
    identity = properties.get("$insert_id")
    if not isinstance(identity, str) or not _INSERT_ID.fullmatch(identity) or identity.lower() in BANNED:
        return "properties.$insert_id", "'properties.$insert_id' must be 1 to 36 of A-Z, a-z, 0-9 and '-'"
    return None


def _invalid_shape(event: dict[str, Any], properties: dict[str, Any]) -> tuple[str, str] | None:
    """Under 1 MB, fewer than 255 properties, at most 3 levels of nesting [import]."""
    if _may_be_long(properties) and len(json.dumps(event).encode()) >= MOST_EVENT_BYTES:
        return "event", "the event is larger than 1 MB"
    if len(properties) >= MOST_PROPERTIES:
        return "properties", "too many properties"
    if any(isinstance(value, dict | list) for value in properties.values()) and _depth(properties) - 1 > DEEPEST:
        return "properties", "properties are nested too deep"
    return None


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _cut(value: Any) -> Any:
    """Strings are kept up to 255 bytes [import]."""
    if isinstance(value, str):
        return value.encode()[:LONGEST_STRING].decode(errors="ignore")
    if isinstance(value, list):
        return [_cut(item) for item in value]
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    return value


def _may_be_long(properties: dict[str, Any]) -> bool:
    return any(
        len(value) * 4 > LONGEST_STRING if isinstance(value, str) else isinstance(value, dict | list)
        for value in properties.values()
    )


def _milliseconds(moment: float) -> float:
    return moment if moment > 1e11 else moment * 1000


def _readable(encoding: str, raw: bytes) -> bytes:
    """`Content-Encoding: gzip` is allowed [import]. Sizes count uncompressed."""
    if encoding != "gzip":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error):
        return b""


def _parse(kind: str, body: bytes) -> list[Any] | None:
    """`application/json` is an array, `application/x-ndjson` one event a line [import]; None when it is neither."""

    def refuse(_: str) -> None:
        raise ValueError("NaN and Infinity are no JSON")

    try:
        if kind == "application/x-ndjson":
            return [json.loads(line, parse_constant=refuse) for line in body.splitlines() if line.strip()] or None
        found = json.loads(body, parse_constant=refuse) if kind == "application/json" else None
    except ValueError:
        return None
    return found if isinstance(found, list) and found else None


def _error(code: int, error: str, status: str) -> dict[str, Any]:
    return {"code": code, "error": error, "status": status}


def _too_large(limit: str) -> dict[str, Any]:
    return _error(413, f"request exceeds max limit of {limit}", "Request Entity Too Large")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    mixpanel: MixpanelServer

    def handle_error(self, *_: object) -> None:
        """Quiet: clients under test hang up in the middle on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536
    server: _Server

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if urlsplit(self.path).path.startswith(DELETIONS):
            self._answer(*self.server.mixpanel.delete(self, raw))
            return
        if urlsplit(self.path).path in ("/engage", "/groups"):
            self._answer(*self.server.mixpanel.update(self, raw))
            return
        status, body, headers, fault = self.server.mixpanel.answer(self, raw)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) + (1000 if fault.cut else 0)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in [body[n : n + 1] for n in range(len(body))] if fault.trickle else [body]:
            self.wfile.write(piece)
            if fault.trickle:
                self.wfile.flush()
                threading.Event().wait(fault.trickle)
        self.close_connection = self.close_connection or fault.cut

    def do_GET(self) -> None:
        if urlsplit(self.path).path.startswith(DELETIONS):
            self._answer(*self.server.mixpanel.delete(self, None))
            return
        target = urlsplit(self.path)
        if target.path == "/api/2.0/export":
            query = {name: values[-1] for name, values in parse_qs(target.query).items()}
            status, body = self.server.mixpanel.export(query)
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_error(405)

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def main() -> None:
    """Serve until the end of standard input, or a signal."""
    with MixpanelServer(token=sys.argv[1] if len(sys.argv) > 1 else "token") as server:
        server.keep_arrivals = "--keep" in sys.argv
        server.unchecked = "--unchecked" in sys.argv
        print(server.url, flush=True)
        for line in sys.stdin:
            if line.strip() == "count":
                print(json.dumps({"received": server.received, "events": len(server.events)}), flush=True)


if __name__ == "__main__":
    main()
