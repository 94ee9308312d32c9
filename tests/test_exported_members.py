"""What a package names as its public API is there, and comes without the heavy libraries."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = [
    "voxledger",
    "voxledger.analytics",
    "voxledger.analytics.metrics",
    "voxledger.analytics.mixpanel",
    "voxledger.analytics.report",
    "voxledger.catalog",
    "voxledger.catalog.access",
    "voxledger.catalog.doctor",
    "voxledger.catalog.backup",
    "voxledger.catalog.erasure",
    "voxledger.catalog.events",
    "voxledger.catalog.journal",
    "voxledger.catalog.log",
    "voxledger.catalog.models",
    "voxledger.catalog.objects",
    "voxledger.catalog.objects.embedded",
    "voxledger.catalog.objects.probing",
    "voxledger.catalog.objects.uploads",
    "voxledger.catalog.projections",
    "voxledger.catalog.query",
    "voxledger.catalog.reconcile",
    "voxledger.catalog.retention",
    "voxledger.catalog.search",
    "voxledger.catalog.settings",
    "voxledger.dashboards.remote",
    "voxledger.synth",
    "voxledger.synth.audio",
    "voxledger.synth.engines",
    "voxledger.synth.studio",
    "voxledger.synth.text",
    "voxledger.synth.voices",
]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_is_there_and_described(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__doc__
    assert package.__all__, f"{name} names nothing"
    for member in package.__all__:
        assert getattr(package, member) is not None


@pytest.mark.parametrize(
    "name", ["voxledger", "voxledger.catalog", "voxledger.synth", "voxledger.analytics", "voxledger.cli"]
)
def test_the_command_line_starts_without_heavy_libraries(name: str) -> None:
    code = f"import sys, {name}; print([each for each in ('torch', 'numpy', 'duckdb', 'boto3', 'polars') if each in sys.modules])"
    heard = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heard.stdout == "[]\n"
