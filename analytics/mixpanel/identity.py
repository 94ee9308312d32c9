"""Identity: which project is told, and under which ids people are known there. The token is a secret, so a digest stands for it."""

from __future__ import annotations

import hashlib

import msgspec

from voxledger.catalog import settings as catalog_settings

_DIGITS = 16


def project_of(settings: catalog_settings.Mixpanel) -> str:
    """A digest of the project that these settings name. A proxy in `mixpanel.endpoint` makes no other project of it."""
    named = [settings.region, settings.project_id, settings.token]
    return hashlib.sha256(msgspec.json.encode(named)).hexdigest()[:_DIGITS]
