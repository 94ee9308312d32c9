"""Answers to what cannot be done: one shape of error for every route, with a stable code and the remedy.

It holds the four keys of OpenAI's errors, so that clients written for OpenAI read it too:
`{"error": {"message", "type", "param", "code", "remedy"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from starlette.responses import Response

from voxledger.analytics import errors as analytics
from voxledger.catalog import errors as catalog
from voxledger.catalog.errors import VoxledgerError
from voxledger.synth import errors as synth

_encode = msgspec.json.Encoder().encode
JSON = "application/json"


class Refused(VoxledgerError):
    """A request that is not served: why, with which status and code, and what to do. `headers` go with the answer."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        remedy: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.remedy = remedy
        self.param = param
        self.headers = dict(headers or {})


class _Meaning(NamedTuple):
    status: int
    code: str
    remedy: str
    retry_after: int = 0


_READ = "Read the message; it says what to do."
_LATER = "Try again later."
_MEANINGS: Mapping[type[VoxledgerError], _Meaning] = {
    catalog.DiskFull: _Meaning(507, "disk_full", "Free some space on the node's disk."),
    catalog.HomeError: _Meaning(503, "home", _READ, 30),
    catalog.SettingsError: _Meaning(400, "settings", _READ),
    catalog.EventRejected: _Meaning(400, "event_rejected", _READ),
    catalog.LogCorrupt: _Meaning(503, "log_corrupt", "Ask whoever runs the node to look at `voxledger verify`.", 30),
    catalog.JournalError: _Meaning(503, "journal", "Ask whoever runs the node to look at `voxledger doctor`.", 30),
    catalog.CatalogBusy: _Meaning(503, "busy", _LATER, 2),
    catalog.QueryError: _Meaning(400, "query", _READ),
    catalog.SearchError: _Meaning(400, "search", _READ),
    catalog.ClipNotFound: _Meaning(404, "clip_not_found", "Look the clip up: GET /api/clips."),
    catalog.VaultError: _Meaning(409, "vault", _READ),
    catalog.StoreUnavailable: _Meaning(503, "store_unavailable", "Try again when the store answers.", 10),
    catalog.StoreError: _Meaning(409, "store", _READ),
    catalog.ModelNotFound: _Meaning(404, "model_not_found", "GET /api/models lists the versions there are."),
    catalog.ModelError: _Meaning(409, "model", _READ),
    catalog.PolicyError: _Meaning(409, "policy", _READ),
    catalog.SubjectNotFound: _Meaning(404, "subject_not_found", _READ),
    catalog.ErasureError: _Meaning(409, "erasure", _READ),
    analytics.AnalyticsError: _Meaning(400, "analytics", _READ),
    synth.StudioBusy: _Meaning(503, "busy", _LATER, 2),
    synth.GenerationTimeout: _Meaning(503, "timeout", _LATER, 5),
    synth.EngineUnavailable: _Meaning(503, "engine_unavailable", "Install what the engine lacks.", 30),
    synth.VoiceMissing: _Meaning(503, "voice_missing", "Register the recording again.", 30),
    synth.Stopped: _Meaning(503, "stopped", "Ask for it again.", 1),
    synth.ConsentEnded: _Meaning(403, "voice_withdrawn", "Choose another voice."),
    synth.InvalidRequest: _Meaning(400, "invalid_request", "Change the request as the message says."),
    synth.SynthesisError: _Meaning(500, "synthesis", _LATER),
}
"""What each error means to a client; the nearest ancestor counts."""


def meaning(error: VoxledgerError) -> Refused:
    """An error of the floors below as a client is told it."""
    if isinstance(error, Refused):
        return error
    found = next(
        (_MEANINGS[kind] for kind in type(error).__mro__ if kind in _MEANINGS), _Meaning(400, "refused", _READ)
    )
    code, remedy, param = found.code, found.remedy, None
    if isinstance(error, synth.SynthesisError):
        code, remedy = error.failure_class, error.remedy
        param = getattr(error, "feature", None)
    headers = {"Retry-After": str(found.retry_after)} if found.retry_after else {}
    return Refused(str(error), status=found.status, code=code, remedy=remedy, param=param, headers=headers)


def body(refused: Refused) -> dict[str, Any]:
    """The answer's JSON."""
    kind = "server_error" if refused.status >= 500 else "rate_limit_error" if refused.status == 429 else (
        {401: "authentication_error", 403: "permission_error"}.get(refused.status, "invalid_request_error")
    )  # fmt: skip
    return {
        "error": {
            "message": str(refused), "type": kind, "param": refused.param, "code": refused.code, "remedy": refused.remedy,
        }
    }  # fmt: skip


def answer(error: VoxledgerError) -> Response:
    """The whole answer."""
    refused = meaning(error)
    return Response(_encode(body(refused)), refused.status, refused.headers, JSON)


UNEXPECTED = Refused(
    "something went wrong here that should not have",
    status=500,
    code="internal",
    remedy="Ask whoever runs the node to look at its log; the request's id is in the header X-Request-Id.",
)
"""What a client is told of a defect of ours: nothing that could hold what somebody wrote."""
