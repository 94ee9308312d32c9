"""Known audio: which content the catalog has clips of already, so that nothing is taken twice and nothing deleted comes back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from voxledger.catalog.log import Keeper

Standing: TypeAlias = Literal["alive", "gone"]
_QUERY = """
SELECT sha256, bool_or(purge_started IS NOT NULL OR purged IS NOT NULL OR key IS NULL) AS gone
FROM clips WHERE sha256 IN (SELECT unnest($digests::VARCHAR[])) GROUP BY sha256
"""


def standings(keeper: Keeper, digests: Iterable[str]) -> dict[str, Standing]:
    """By SHA-256 (hex): whether there is a clip of this audio, or was one whose audio retention or erasure took."""
    with keeper.reading() as reading:
        found = reading.tuples(_QUERY, {"digests": list(digests)})
    return {digest: "gone" if gone else "alive" for digest, gone in found}
