"""Faults: how an error crosses HTTP. One shape for every route, with a stable code and the remedy, and back into the same class.

It holds the four keys of OpenAI's errors, so that clients written for OpenAI read it too:
`{"error": {"message", "type", "param", "code", "remedy"}}`; and `place`, where a part of a query is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from voxledger.analytics import errors as analytics
from voxledger.catalog import errors as catalog
from voxledger.catalog.errors import VoxledgerError
from voxledger.synth import errors as synth


class Place(NamedTuple):
    """A part of a text that was sent: its first character, and how many it is long."""

    offset: int
    length: int


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
        place: Place | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.remedy = remedy
        self.param = param
        self.headers = dict(headers or {})
        self.place = place
        """Which part of what was sent is wrong."""


class _Meaning(NamedTuple):
    status: int
    code: str
    remedy: str
    retry_after: int = 0
    said: str | None = None
    """What a client is told instead of the error's own words, which name files of the node."""


_READ = "Read the message; it says what to do."
_LATER = "Try again later."
_ASK = "Ask whoever runs the node to look at its log and at `voxledger doctor`."
_MEANINGS: Mapping[type[VoxledgerError], _Meaning] = {
    catalog.DiskFull: _Meaning(
        507, "disk_full", "Free some space on the node's disk.", said="the disk of the node is full; nothing was made"
    ),
    catalog.HomeError: _Meaning(503, "home", _ASK, 30, said="the node cannot use its files at present"),
    catalog.SettingsError: _Meaning(400, "settings", _READ),
    catalog.EventRejected: _Meaning(400, "event_rejected", _READ),
    catalog.LogCorrupt: _Meaning(503, "log_corrupt", _ASK, 30, said="the node's log is not as it should be"),
    catalog.JournalError: _Meaning(503, "journal", _ASK, 30, said="the node cannot write its journal at present"),
    catalog.CatalogBusy: _Meaning(503, "catalog_busy", _LATER, 2, said="the node's catalog is held by another process"),
    catalog.QueryError: _Meaning(400, "query", _READ),
    catalog.SearchError: _Meaning(400, "search", _READ),
    catalog.ClipNotFound: _Meaning(404, "clip_not_found", "Look the clip up: GET /api/clips."),
    catalog.TokenNotFound: _Meaning(404, "token_not_found", "Look the token up: GET /api/tokens."),
    catalog.TokenError: _Meaning(400, "token", _READ),
    catalog.VaultError: _Meaning(409, "vault", _READ),
    catalog.StoreUnavailable: _Meaning(503, "store_unavailable", "Try again when the store answers.", 10),
    catalog.StoreError: _Meaning(409, "store", _READ),
    catalog.ModelNotFound: _Meaning(404, "model_not_found", "GET /api/models lists the versions there are."),
    catalog.ModelError: _Meaning(409, "model", _READ),
    catalog.HoldError: _Meaning(409, "hold", _READ),
    catalog.ExpressionError: _Meaning(400, "expression", _READ),
    catalog.PlanStale: _Meaning(409, "plan_stale", "Look at the plan again: GET /api/retention/plan."),
    catalog.RetentionBusy: _Meaning(409, "retention_busy", "Wait for the end of the run: GET /api/operations.", 5),
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
    synth.ManifestError: _Meaning(400, "manifest", "Mend the lines, as the message says."),
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
    return Refused(
        found.said or str(error), status=found.status, code=code, remedy=remedy, param=param, headers=headers
    )


def body(refused: Refused) -> dict[str, Any]:
    """The answer's JSON."""
    kind = "server_error" if refused.status >= 500 else "rate_limit_error" if refused.status == 429 else (
        {401: "authentication_error", 403: "permission_error"}.get(refused.status, "invalid_request_error")
    )  # fmt: skip
    return {
        "error": {
            "message": str(refused), "type": kind, "param": refused.param, "code": refused.code, "remedy": refused.remedy,
            **({"place": refused.place._asdict()} if refused.place else {}),
        }
    }  # fmt: skip


UNEXPECTED = Refused(
    "something went wrong here that should not have",
    status=500,
    code="internal",
    remedy="Ask whoever runs the node to look at its log; the request's id is in the header X-Request-Id.",
)
"""What a client is told of a defect of ours: nothing that could hold what somebody wrote."""


def raised(status: int, content: Any) -> VoxledgerError:
    """The error that an answer stands for, as the same class that the floors below raise; `Refused` for those of the node itself."""
    told = content.get("error") if isinstance(content, Mapping) else None
    if not isinstance(told, Mapping):
        return Refused(f"the node answered {status}", status=status, code="http", remedy=_READ)
    message, code = str(told.get("message")), str(told.get("code"))
    kind = _BY_CODE.get(code)
    if kind is None:
        return Refused(message, status=status, code=code, remedy=str(told.get("remedy")), param=told.get("param"))
    if issubclass(kind, synth.NotSupported):
        return kind(message, feature=str(told.get("param")))
    return kind(message)


def _family(kind: type[VoxledgerError]) -> Iterator[type[VoxledgerError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


_BY_CODE: Mapping[str, type[VoxledgerError]] = {
    **{found.code: kind for kind, found in _MEANINGS.items() if not issubclass(kind, synth.SynthesisError)},
    **{kind.failure_class: kind for kind in _family(synth.SynthesisError) if issubclass(kind, synth.SynthesisError)},
}
"""What each code is called in Python."""
