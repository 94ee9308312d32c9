"""Folders: what becomes part of a model, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.catalog.models.machines import made_folder
from voxledger.catalog.errors import ModelError
from voxledger.catalog.models import Reference
from voxledger.catalog.models.folder import FolderRead, read_folder, require_unchanged

REFERENCE = Reference("indextts", "2.5")


def read(folder: Path, *, follow: bool = False) -> FolderRead:
    return read_folder(folder, REFERENCE, follow=follow)


def names(found: FolderRead) -> list[str]:
    return [file.path for file in found.manifest.files]


def test_hidden_files_stay_behind(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("secret")
    (folder / "hf_cache" / ".lock").touch()
    found = read(folder)
    assert names(found) == ["config.yaml", "gpt.pth", "hf_cache/bigvgan/generator.pt"]
    assert found.hidden == 2


def test_symbolic_links_are_refused_by_name(folder: Path) -> None:
    (folder / "link.pt").symlink_to(folder / "gpt.pth")
    (folder / "cache").symlink_to(folder / "hf_cache")
    with pytest.raises(ModelError, match=r"cache, link\.pt.*--follow") as caught:
        read(folder)
    assert caught.value.files == ("cache", "link.pt")


def test_followed_links_become_what_they_lead_to(folder: Path, tmp_path: Path) -> None:
    blobs = made_folder(tmp_path / "blobs")
    (folder / "link.pt").symlink_to(blobs / "gpt.pth")
    (folder / "cache").symlink_to(blobs / "hf_cache")
    found = read(folder, follow=True)
    assert "link.pt" in names(found)
    assert "cache/bigvgan/generator.pt" in names(found)


def test_links_in_a_circle_are_refused(folder: Path) -> None:
    (folder / "hf_cache" / "again").symlink_to(folder)
    with pytest.raises(ModelError, match="in a circle"):
        read(folder, follow=True)


def test_a_link_to_nothing_is_refused(folder: Path) -> None:
    (folder / "gone").symlink_to("/nowhere")
    with pytest.raises(ModelError, match="gone cannot be read"):
        read(folder, follow=True)


def test_a_pipe_is_refused_without_waiting_for_it(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ModelError, match="no regular file"):
        read(folder)


def test_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    with pytest.raises(ModelError, match="holds no files"):
        read(tmp_path / "empty")
    with pytest.raises(ModelError, match="there is no folder"):
        read(tmp_path / "missing")


def test_a_name_that_cannot_be_written_everywhere_is_refused_before_hashing(folder: Path) -> None:
    (folder / "a:b.pt").touch()
    with pytest.raises(ModelError, match="cannot be written everywhere") as caught:
        read_folder(folder, REFERENCE, follow=False, hashed=lambda size: pytest.fail("it is hashed"))
    assert caught.value.files == ("a:b.pt",)


def test_a_file_that_changes_afterwards_is_noticed(folder: Path) -> None:
    source = read(folder).sources["gpt.pth"]
    require_unchanged(source)
    (folder / "gpt.pth").write_bytes(b"h" * 30_000)
    os.utime(folder / "gpt.pth", ns=(0, source.stamp.time_ns + 1))
    with pytest.raises(ModelError, match="changed while the model was pushed"):
        require_unchanged(source)
