"""Machines for tests of models: a HOME each, on one store; and folders that look like models."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests import forking
from tests.building import Parts
from tests.s3 import S3Server
from voxledger.catalog.models import Models
from voxledger.catalog.objects import Store
from voxledger.catalog.settings import load

PROGRAM = Path(__file__).parent / "models_process.py"


class Machine:
    """One HOME with its models, in a `with` block or closed by hand."""

    def __init__(self, home: Path, server: S3Server, bucket: str, *, url: str | None = None, **settings: Any) -> None:
        self.server, self.bucket_name = server, bucket
        self.parts = Parts(home)
        overrides = {
            "store.endpoint": url or server.url, "store.access_key": server.access_key,
            "store.secret_key": server.secret_key, "store.models": bucket, "general.min_free_disk": 0, **settings,
        }  # fmt: skip
        self.settings = load(home, overrides=overrides, environ={}).settings
        self.store = Store(self.parts.home, self.settings.store)
        self.models = Models(
            self.settings, self.parts.recorder, lambda: self.parts.keeper, lambda: self.store, actor="ann"
        )

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()
        self.parts.close()

    @property
    def folder(self) -> Path:
        """Where versions lie."""
        return Path(self.settings.models.folder)

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What was recorded, in order."""
        rows = self.parts.rows("SELECT type, data::VARCHAR AS data FROM events ORDER BY position")
        return [(row["type"], json.loads(row["data"])) for row in rows]

    def child(
        self, *arguments: str, failpoint: str = "", url: str | None = None, folder: Path | None = None
    ) -> dict[str, Any]:
        """What `forking.spawn` wants for a process of its own that does something here: see `models_process.py`."""
        environ = {
            **os.environ, "VOXLEDGER_FAILPOINT": failpoint, "VOXLEDGER_STORE_ENDPOINT": url or self.server.url,
            "VOXLEDGER_STORE_ACCESS_KEY": self.server.access_key, "VOXLEDGER_STORE_SECRET_KEY": self.server.secret_key,
            "VOXLEDGER_STORE_MODELS": self.bucket_name, "VOXLEDGER_GENERAL_MIN_FREE_DISK": "0",
            "VOXLEDGER_MODELS_THREADS": str(self.settings.models.threads),
        }  # fmt: skip
        if folder is not None:
            environ["VOXLEDGER_MODELS_FOLDER"] = str(folder)
        return {
            "arguments": [str(PROGRAM), str(self.parts.home.path), *arguments], "env": environ,
            "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
        }  # fmt: skip

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Let such a process come to its end."""
        child = self.child(*arguments, **options)
        return forking.run(child["arguments"], env=child["env"])


def made_folder(path: Path, **files: bytes) -> Path:
    """A folder of a small model; `files` by name, `__` for a slash, change or add some."""
    known = {"config.yaml": b"version: 2.5\n", "gpt.pth": b"g" * 30_000, "hf_cache/bigvgan/generator.pt": b"v" * 20_000}
    for name, content in {**known, **{name.replace("__", "/"): content for name, content in files.items()}}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flip(path: Path, place: int = 100) -> None:
    """Damage one bit of a file, keeping its size."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
