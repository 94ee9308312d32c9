"""The description: what all routes have in common, told once in `/api/openapi.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from voxledger.catalog.access import Permission
from voxledger.dashboards.api.shapes import Fault, fault
from voxledger.dashboards.server.callers import may

_PUBLIC = frozenset({"/healthz", "/readyz"})
_METHODS = frozenset({"get", "head", "post", "put", "patch", "delete"})
_ALWAYS = (400, 401, 403, 421, 429, 503)
_WITH_BODY = (408, 413)
_TAGS: Mapping[str, str] = {
    "speech": "Speech as OpenAI's clients ask for it.",
    "clips": "What was made: found, heard, and cared for.",
    "generations": "Attempts to make a clip, those that failed too.",
    "voices": "Registered recordings, with the consent they stand on.",
    "models": "What speaks.",
    "health": "Whether the node lives and works.",
}
_ABOUT = """\
Send `Authorization: Bearer TOKEN`; an admin makes tokens with `voxledger tokens create`. What cannot be done is answered in one shape,
with a stable `code` and the remedy. Pages go on with `cursor`; answers have an ETag, and `If-None-Match` saves sending them again.
Who sees only the own clips is answered as if there were no others."""


class Description:
    """The OpenAPI document of an application. `operation_id` is FastAPI's `generate_unique_id_function`."""

    def __init__(self) -> None:
        self._routes: dict[str, APIRoute] = {}
        self._document: dict[str, Any] | None = None

    def operation_id(self, route: APIRoute) -> str:
        """What a generated client calls a route: its function's name, which is unique but for the routes of OpenAI."""
        name = f"openai_{route.name}" if route.path_format.startswith("/v1/") else route.name
        self._routes[name] = route
        return name

    def of(self, app: FastAPI) -> dict[str, Any]:
        """The document, made once."""
        if self._document is None:
            document = get_openapi(
                title=app.title, version=app.version, summary=app.summary, description=_ABOUT, routes=app.routes,
                tags=[{"name": name, "description": about} for name, about in _TAGS.items()],
            )  # fmt: skip
            _complete(document)
            self._tell_permissions(document)
            self._document = document
        return self._document

    def _tell_permissions(self, document: dict[str, Any]) -> None:
        for _, _, operation in operations(document):
            needed = operation.get("x-permission") or permission(self._routes[operation["operationId"]])
            if needed:
                operation["x-permission"] = needed
                told = f"For roles that may `{needed}`."
                operation["description"] = "\n\n".join(filter(None, (operation.get("description"), told)))


def permission(route: APIRoute) -> Permission | None:
    """What somebody must be permitted who asks for a route; None where any token will do, or none is needed."""
    return next((each.call.permission for each in route.dependant.dependencies if isinstance(each.call, may)), None)


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of every route."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, method, operation


def _complete(document: dict[str, Any]) -> None:
    """Add what every route may answer with, and how it is opened; take out FastAPI's own shape of errors, which is not ours."""
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    made = Fault.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas.update(made.pop("$defs", {}))
    schemas["Fault"] = made
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, _, operation in operations(document):
        if path in _PUBLIC:
            continue
        operation["security"] = [{"token": []}]
        answers = operation["responses"]
        for status in (*_ALWAYS, *(_WITH_BODY if "requestBody" in operation else ())):
            answers.setdefault(str(status), fault(status))
        if "HTTPValidationError" in str(answers.get("422")):
            answers["422"] = fault(422)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
