"""Answers to what cannot be done, in the one shape of all routes."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.faults import UNEXPECTED, Refused, body, meaning

__all__ = ["JSON", "UNEXPECTED", "Refused", "answer", "body", "meaning"]

JSON = "application/json"
_encode = msgspec.json.Encoder().encode


def answer(error: VoxledgerError) -> Response:
    """The whole answer to an error."""
    refused = meaning(error)
    return Response(_encode(body(refused)), refused.status, refused.headers, JSON)
