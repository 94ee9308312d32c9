"""Positions: where an event is in the log, as it is told to those who may know, and hidden from those who see only their own clips.

How far the log has come says how much others do. Cursors that have to name a place are sealed for them, for each actor anew.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from voxledger.dashboards.faults import Refused

if TYPE_CHECKING:
    from voxledger.catalog.vault import Vault
    from voxledger.dashboards.server.callers import Caller

_SIZE = 8
_PLAIN = re.compile(r"[0-9]{1,18}")


class Positions:
    """Writes places as cursors, and reads them. The same place is the same cursor, so that pages keep their ETag."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._cipher: AESSIV | None = None

    def cursor(self, place: int | None, caller: Caller) -> str | None:
        """A place as this caller is told it; None stays None."""
        sees = caller.principal.sees
        if place is None or sees is None:
            return None if place is None else str(place)
        sealed = self._seal().encrypt(place.to_bytes(_SIZE, "big"), [sees.encode()])
        return base64.urlsafe_b64encode(sealed).decode()

    def read(self, cursor: str | None, caller: Caller) -> int | None:
        """The place that a cursor names. Raises Refused (400) for what this caller was not given."""
        if cursor is None:
            return None
        sees = caller.principal.sees
        if sees is None:
            if not _PLAIN.fullmatch(cursor):
                raise _unknown()
            return int(cursor)
        try:
            sealed = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
            return int.from_bytes(self._seal().decrypt(sealed, [sees.encode()]), "big")
        except (InvalidTag, binascii.Error, ValueError):
            raise _unknown() from None

    def _seal(self) -> AESSIV:
        if self._cipher is None:
            self._cipher = AESSIV(self._vault.secret("positions"))
        return self._cipher


def _unknown() -> Refused:
    return Refused(
        "this cursor was not given to you",
        status=400,
        code="cursor",
        remedy="Send `next` of the page before.",
        param="cursor",
    )
