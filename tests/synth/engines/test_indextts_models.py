"""The engine indextts with a model from the store: pulled by its first use, named when it is not whole.

`test_indextts_clips.py` speaks with such a one; here nothing is loaded, and its files hold nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.s3 import S3Server
from tests.synth.engines.conftest import needs_package
from voxledger.catalog.errors import SettingsError
from voxledger.ledger import Ledger
from voxledger.synth import EngineUnavailable, engines
from voxledger.synth.engines import indextts_model

pytestmark = needs_package


@pytest.fixture(scope="module")
def overrides(tmp_path_factory: pytest.TempPathFactory, rclone_store: S3Server) -> dict[str, Any]:
    """Settings of machines whose engine is to speak with a version that was pushed."""
    known: dict[str, Any] = {
        "store.endpoint": rclone_store.url, "store.access_key": rclone_store.access_key,
        "store.secret_key": rclone_store.secret_key, "store.models": f"test-{secrets.token_hex(6)}",
        "indextts.model": "indextts@2.5", "indextts.devices": "cpu", "indextts.threads": 1, "general.min_free_disk": 0,
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("pusher")
    for name in (*indextts_model._NEEDED, *indextts_model._NAMED.values()):
        file = folder / "checkpoint" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    with Ledger(folder / "home", overrides=known) as pusher:
        pusher.models.push(folder / "checkpoint", "indextts@2.5")
    return known


@pytest.fixture
def node(tmp_path: Path, overrides: dict[str, Any]) -> Iterator[Ledger]:
    """A machine without the model."""
    with Ledger(tmp_path / "home", overrides=overrides) as ledger:
        yield ledger


def test_the_first_use_pulls_the_model(node: Ledger) -> None:
    assert node.models.path("indextts@2.5") is None
    [listed] = engines.survey(node.settings, "indextts")
    assert "voxledger models pull indextts@2.5" in listed.why
    assert node.models.path("indextts@2.5") is None, "a list pulls nothing"
    engine = node.studio.engine("indextts")
    assert node.models.path("indextts@2.5") is not None
    assert engine.describe().model == "indextts@2.5"


def test_a_model_that_cannot_be_had_is_named(node: Ledger) -> None:
    settings = {"indextts.model": "indextts@2.6"}
    engine = engines.load("indextts", _changed(node, settings))
    assert isinstance(engine, engines.NeedsModel)
    with pytest.raises(
        EngineUnavailable, match=r"indextts@2\.6 of the engine indextts is not here and cannot be had: .* it has 2\.5"
    ):
        engine.prepare(node.models.ensure)


def test_a_model_that_was_damaged_is_named_with_what_mends_it(node: Ledger) -> None:
    engine = node.studio.engine("indextts")
    place = node.models.path("indextts@2.5")
    assert place is not None
    (place / "gpt.pth").unlink()
    with pytest.raises(EngineUnavailable, match=r"lacks gpt\.pth\. `voxledger models restore indextts@2\.5`"):
        engine.describe()
    node.models.restore("indextts@2.5")
    assert engine.describe().model == "indextts@2.5"


def test_a_name_alone_means_the_current_version(node: Ledger) -> None:
    engine = engines.load("indextts", _changed(node, {"indextts.model": "indextts"}))
    with pytest.raises(EngineUnavailable, match="the model indextts is not on this machine"):
        engine.describe()
    assert isinstance(engine, engines.NeedsModel)
    engine.prepare(node.models.ensure)
    assert engine.describe().model == "indextts@2.5"


def test_what_is_no_name_is_a_matter_of_the_settings(node: Ledger) -> None:
    with pytest.raises(SettingsError, match=r"indextts\.model = '\.\./x' is not right"):
        engines.load("indextts", _changed(node, {"indextts.model": "../x"}))


def _changed(node: Ledger, overrides: dict[str, Any]) -> Any:
    from voxledger.catalog.settings import load

    return load(node.home.path, overrides=overrides, environ={}).settings
