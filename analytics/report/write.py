"""Writing a report: one HTML page, one Markdown text, one JSON document, side by side in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from voxledger.analytics.report.errors import ReportNotWritten
from voxledger.analytics.report.render import Audio, Links, render_html, render_json, render_markdown
from voxledger.analytics.report.weekly import WeeklyReport
from voxledger.catalog.platform import write_atomic


def write(
    report: WeeklyReport, folder: Path | str, audio: Audio, links: Links = MappingProxyType({})
) -> Sequence[Path]:
    """Write `voxledger-2026-W47.html`, `.md` and `.json`; gives their paths in that order.

    Each file is there whole or not at all, and replaces one of the same week. Raises ReportNotWritten.
    """
    contents = {
        "html": render_html(report, audio, links).encode(),
        "md": render_markdown(report).encode(),
        "json": render_json(report).encode(),
    }
    target = Path(folder).expanduser()
    files = {kind: target / f"voxledger-{report.week}.{kind}" for kind in contents}
    try:
        target.mkdir(parents=True, exist_ok=True)
        for kind, path in files.items():
            write_atomic(path, contents[kind])
    except OSError as error:
        raise ReportNotWritten(
            f"the report of {report.week} cannot be written to {target}: {error.strerror or error};"
            " choose another folder, or set report.folder"
        ) from error
    return tuple(files.values())
