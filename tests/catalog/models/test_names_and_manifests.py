"""Names and manifests: what is taken is the same everywhere, and nothing leads out of its folder."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxledger.catalog.errors import ModelError
from voxledger.catalog.models import ModelFile, Reference
from voxledger.catalog.models.manifest import made_manifest, read_manifest
from voxledger.catalog.models.names import parse, parse_loose

REFERENCE = Reference("indextts", "2.5")
SHA = "ab" * 32


def manifest_of(*paths: str) -> bytes:
    """The bytes of a manifest that nobody checked."""
    files = [{"path": path, "bytes": 1, "sha256": f"{number:064x}"} for number, path in enumerate(paths)]
    return json.dumps({"format": 1, "name": "indextts", "version": "2.5", "files": files}).encode()


@pytest.mark.parametrize("text", ["indextts@2.5", "a@1", "w2v-bert@2.0_rc1"])
def test_a_reference_prints_as_it_was_written(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "indextts",
        "@2",
        "a@",
        "A@1",
        "a@..",
        "../a@1",
        "a/b@1",
        "a@1/2",
        "a@1@2",
        ".a@1",
        "a@1.",
        "a" * 65 + "@1",
        "a @1",
        "ä@1",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        parse(text)


def test_a_bare_name_means_the_current_version() -> None:
    assert parse_loose("indextts") == ("indextts", None)
    assert parse_loose("indextts@2.5") == ("indextts", "2.5")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "../escape", "a/../../b", "a/./b", "a//b", "a/", "", ".", "..", "C:/windows", "a\\b", "a\nb", "a\x00b",
        "nul", "aux.txt", "a/com1", "x.", "x ", " x", "a" * 256, "a?b", "\u202egpt.pth",
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused_by_name(path: str) -> None:
    with pytest.raises(ModelError, match=r"is not taken|is no manifest"):
        read_manifest(manifest_of("config.yaml", path), REFERENCE, where="models/x.json")


@pytest.mark.parametrize(
    "paths",
    [
        ("gpt.pth", "gpt.pth"), ("gpt.pth", "GPT.pth"), ("a", "a/b"), ("A/x", "a/y"), ("caf\u00e9", "cafe\u0301"),
    ],
)  # fmt: skip
def test_paths_that_are_one_file_somewhere_are_refused(paths: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match=r"case does not count|file and a folder"):
        read_manifest(manifest_of(*paths), REFERENCE, where="models/x.json")


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_whatever_is_taken_stays_in_its_folder(paths: list[str]) -> None:
    try:
        content = manifest_of(*paths)
        manifest = read_manifest(content, REFERENCE, where="x")
    except (ModelError, UnicodeEncodeError):
        return
    root = Path("/models/indextts/2.5")
    for file in manifest.files:
        assert (root / file.path).resolve().is_relative_to(root)
        assert not PureWindowsPath(file.path).drive
        assert PurePosixPath(file.path).parts == PureWindowsPath(file.path).parts
        assert "\\" not in file.path


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"name": "other"}, {"version": "2.6"}, {"files": []}, {"more": 1},
        {"files": [{"path": "a", "bytes": -1, "sha256": SHA}]}, {"files": [{"path": "a", "bytes": 1, "sha256": "xyz"}]},
        {"files": [{"path": "a", "bytes": 1, "sha256": SHA}, {"path": "b", "bytes": 2, "sha256": SHA}]},
    ],
)  # fmt: skip
def test_what_is_no_manifest_of_this_version_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        read_manifest(json.dumps({**json.loads(manifest_of("a")), **change}).encode(), REFERENCE, where="x")


def test_equal_files_make_equal_bytes_whatever_their_order() -> None:
    files = [ModelFile(path=name, bytes=1, sha256=SHA) for name in ("b", "a/x", "a.y")]
    made = made_manifest(REFERENCE, files)
    assert made.encoded() == made_manifest(REFERENCE, reversed(files)).encoded()
    assert read_manifest(made.encoded(), REFERENCE, where="x") == made
    assert (made.size, len(made.contents)) == (3, 1)
