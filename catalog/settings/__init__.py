"""Settings: declared once, read from the call, the environment and `voxledger.toml`, each value with its origin."""

from voxledger.catalog.settings.loading import FILE_NAME, PREFIX, Loaded, is_secret, load, names, variable
from voxledger.catalog.settings.sections import (
    Backup,
    Cache,
    ExpireRule,
    General,
    IndexTts,
    Mixpanel,
    Models,
    Remote,
    RemoteField,
    Report,
    Retention,
    Schedule,
    Settings,
    Store,
    Synth,
)
from voxledger.catalog.settings.units import format_span, parse_size, parse_span

__all__ = [
    "FILE_NAME",
    "PREFIX",
    "Backup",
    "Cache",
    "ExpireRule",
    "General",
    "IndexTts",
    "Loaded",
    "Mixpanel",
    "Models",
    "Remote",
    "RemoteField",
    "Report",
    "Retention",
    "Schedule",
    "Settings",
    "Store",
    "Synth",
    "format_span",
    "is_secret",
    "load",
    "names",
    "parse_size",
    "parse_span",
    "variable",
]
