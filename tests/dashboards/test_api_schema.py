"""The whole API as its description has it: schemathesis asks a real node whatever the description allows, and much that it does not.

No answer is a defect, none has a status, type or shape that is not described, and nobody is told of clips that are not for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.errors import SchemathesisError
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import voxledger
from tests.node import PATIENCE, RunningNode, running_node
from tests.soak import FULL, examples, told_of_soak

_CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance, response_headers_conformance]
_HIDDEN = ("zeppelin", "airship", "bob-")
"""Words that stand in clips of bob and nowhere else."""
_FIT_TO_SAY_NO = frozenset(
    {"engine_unavailable", "synth_missing", "busy", "store_unavailable", "catalog_busy", "timeout"}
)
"""Codes with which a node may decline what it cannot do now; every other 5xx is a defect."""
_EXAMPLES = 6 if not FULL else 100
"""Requests to each route, of what is described and of what is not, by each who asks; a third of them in `make test`."""
_MOST_TEXT = 200
"""Characters of a text in a request: what is said takes time."""


class Surroundings:
    """A node with clips of ann and bob, and what its description says."""

    def __init__(self, node: RunningNode, ann: str, bob: str, creator: str) -> None:
        self.node = node
        self.clips = {"ann": ann, "bob": bob}
        self.tokens = {
            "owner": node.secret,
            "creator": creator,
            "nobody": None,
            "stranger": "vox_000000000000_" + "A" * 43,
        }
        self.schema = schemathesis.openapi.from_url(f"{node.url}/api/openapi.json")

    def operations(self) -> Iterator[APIOperation[Any, Any, Any, Any]]:
        """Every route that is described."""
        for found in self.schema.get_all_operations():
            yield found.ok()


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    home = tmp_path_factory.mktemp("schema") / "home"
    with voxledger.open(home) as vox:
        ann = vox.speak("The tide is turning. It turns.", actor="ann", tags=["water"], engine="espeak")
        bob = vox.speak("My zeppelin.", actor="bob", session="airship", name="bob-says", engine="espeak")
    with running_node(home, store_close_wait=0, synth_max_text=_MOST_TEXT) as node:
        with node.client() as owner:
            made = owner.post("/api/tokens", json={"role": "creator", "name": "ann"})
        yield Surroundings(node, ann.id, bob.id, made.json()["token"])


def test_every_route_keeps_to_its_description(around: Surroundings) -> None:
    problems, asked = [], 0
    with requests.Session() as session:
        session.trust_env = False
        for operation in around.operations():
            for mode in GenerationMode:
                found = _problem(operation, mode, examples(_EXAMPLES), partial(_ask_each, around, session))
                asked += 1
                problems += [f"{operation.label} ({mode.value}): {found}"] if found else []
    told_of_soak("API as described, asked by each of four", routes=asked)
    assert not problems, "\n\n".join(problems)
    assert around.node.process.poll() is None
    assert "Traceback" not in around.node.said()


def _problem(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, most: int, ask: Callable[[Case, int], None]
) -> str | None:
    """What is wrong with the answers of one route, if anything is."""

    @settings(
        max_examples=most, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(mode), place=st.integers(0, 7))
    def asking(case: Case, place: int) -> None:
        ask(case, place)

    try:
        with suppress(Unsatisfiable):  # of a route that takes nothing, nothing is wrong
            asking()
    except (AssertionError, FailureGroup, SchemathesisError, requests.RequestException) as error:
        parts = error.exceptions if isinstance(error, FailureGroup) else [error]
        return "; ".join(f"{type(part).__name__}: {part}" for part in parts)[:1500]
    return None


def _ask_each(around: Surroundings, session: requests.Session, case: Case, place: int) -> None:
    """Send what was drawn for the owner and a creator, now one of them first and now the other, and for two whom nobody knows."""
    _aim(case, around, place)
    case.headers = {name: value for name, value in (case.headers or {}).items() if name.lower() != "authorization"}
    known = ("creator", "owner") if place < 4 else ("owner", "creator")
    for who in ("nobody", *known, "stranger"):
        _ask(around, who, session, case)


def _ask(around: Surroundings, who: str, session: requests.Session, case: Case) -> None:
    """Ask as one of them, and hold the answer to the description and to what this one may know."""
    token = around.tokens[who]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = case.call(base_url=around.node.url, session=session, headers=headers, timeout=PATIENCE)
    told = answer.content.decode(errors="replace")
    if answer.status_code >= 500:
        code = answer.json()["error"]["code"]
        assert code in _FIT_TO_SAY_NO, f"{answer.status_code}: {told[:500]}\n{case.as_curl_command()}"
    case.validate_response(answer, checks=_CHECKS)
    if who == "owner":
        return
    request = str(case.path_parameters) + str(case.query) + str(case.body)
    for word in (*_HIDDEN, around.clips["bob"]):
        assert word not in told or word in request, f"{word} was told to {who}: {case.as_curl_command()}"
    if who != "creator" and case.operation.path not in ("/healthz", "/readyz"):
        assert answer.status_code in (400, 401, 422), f"{answer.status_code} for {who}: {case.as_curl_command()}"


def _aim(case: Case, around: Surroundings, place: int) -> None:
    """Half of what is drawn meets a clip that is there; nothing waits, or streams for ever."""
    parameters = case.path_parameters or {}
    if "clip" in parameters and place % 4 < 2:
        case.path_parameters = {**parameters, "clip": around.clips["ann" if place % 4 else "bob"]}
    query = dict(case.query or {})
    query.pop("follow", None)
    if "wait" in query:
        query["wait"] = 0
    case.query = query
