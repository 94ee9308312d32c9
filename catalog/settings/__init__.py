"""Settings: declared once, read from the call, the environment and `voxledger.toml`, each value with its origin."""

from voxledger.catalog.settings.loading import FILE_NAME, PREFIX, Loaded, is_secret, load, names, read_policy, variable
from voxledger.catalog.settings.mixpanel import Mixpanel, MixpanelActor
from voxledger.catalog.settings.prices import DevicePrice, Prices
from voxledger.catalog.settings.reports import Mail, Report, Webhook
from voxledger.catalog.settings.sections import (
    Backup,
    Best,
    Budget,
    Cache,
    ExpireRule,
    General,
    IndexTts,
    KeepRule,
    Models,
    Newest,
    Remote,
    RemoteField,
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
    "Best",
    "Budget",
    "Cache",
    "DevicePrice",
    "ExpireRule",
    "General",
    "IndexTts",
    "KeepRule",
    "Loaded",
    "Mail",
    "Mixpanel",
    "MixpanelActor",
    "Models",
    "Newest",
    "Prices",
    "Remote",
    "RemoteField",
    "Report",
    "Retention",
    "Schedule",
    "Settings",
    "Store",
    "Synth",
    "Webhook",
    "format_span",
    "is_secret",
    "load",
    "names",
    "parse_size",
    "parse_span",
    "read_policy",
    "variable",
]
