"""The gate: who comes in. It knows tokens by what they prove, and what each may still do today.

What it is asked costs microseconds and waits for nobody: tokens are remembered, and looked at again when the journal has
changed, a quarter of a second later at most. What was used, and who was turned away, a thread writes every few seconds:
a kill loses that.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from voxledger.catalog.access import estimate
from voxledger.catalog.access.day import Day
from voxledger.catalog.access.denials import Denials
from voxledger.catalog.access.limits import Used
from voxledger.catalog.access.principal import LOCAL, Principal
from voxledger.catalog.access.rates import Rates
from voxledger.catalog.access.token import Credential, limits_of, state_of
from voxledger.catalog.access.usage import Exhausted, Usage
from voxledger.catalog.errors import AccessRefused, VoxledgerError
from voxledger.catalog.events.access import Denial
from voxledger.catalog.journal.tokens import TokenReader, TokenRow, TokenTables
from voxledger.catalog.recorder import Recorder

_LOOK = 0.25
"""Seconds for which what is remembered of tokens is believed."""
_REMEMBERED = 10_000
_NOBODY = bytes(32)
_UNDER_WAY = 2.0
"""Seconds after which it is worth asking again when only what is under way stands against it."""
_WRITE = 5.0
"""Seconds between two times that what was counted is written."""
_log = logging.getLogger(__name__)


class _Known(NamedTuple):
    row: TokenRow
    principal: Principal


class Gate:
    """Lets principals in, one for a whole process. Safe from many threads."""

    def __init__(self, recorder: Recorder, *, zone: str, clock: Callable[[], float] = time.time) -> None:
        """`zone` says where a day begins, `clock` gives s since 1970."""
        self._recorder = recorder
        self._clock = clock
        self._reader = TokenReader(recorder.journal.path)
        self._usage = Usage(TokenTables(recorder.journal), self._reader, zone, clock=clock)
        self._rates = Rates()
        self._denials = Denials(recorder, clock=clock)
        self._known: dict[str, _Known] = {}
        self._names: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._looked = 0.0
        self._closing = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._work, name="voxledger-gate", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what was counted, and let go of the journal. Idempotent."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        self.write(whole=True)
        self._reader.close()

    def principal(self, written: str) -> Principal:
        """Whose token this is. Raises AccessRefused: `unknown token`, `expired` or `revoked`."""
        credential = Credential.read(written)
        known = self._looked_up(credential.id) if credential else None
        proved = hmac.compare_digest(known.row.hash if known else _NOBODY, credential.hash if credential else b"")
        if known is None or not proved:
            raise AccessRefused("this token opens nothing", reason="unknown token")
        state = state_of(known.row, self._clock())
        if state != "valid":
            raise AccessRefused(
                "this token has expired" if state == "expired" else "this token was revoked",
                reason=state, principal=known.row.id,
            )  # fmt: skip
        return known.principal

    def holder(self, token: str) -> Principal:
        """Whose token has this id: for what was begun with it and goes on without it. Raises AccessRefused as `principal` does."""
        known = self._looked_up(token)
        if known is None:
            raise AccessRefused("this token opens nothing", reason="unknown token")
        state = state_of(known.row, self._clock())
        if state != "valid":
            raise AccessRefused(
                "this token has expired" if state == "expired" else "this token was revoked", reason=state, principal=token
            )  # fmt: skip
        return known.principal

    def pace(self, principal: Principal) -> None:
        """Raises AccessRefused (`rate`) for whoever asks faster than they may."""
        rate = principal.limits.rate
        if rate is None:
            return
        wait = self._rates.take(principal.id, rate, time.monotonic())
        if wait:
            raise AccessRefused(
                f"this token may ask {rate.requests:,} times in {rate.span}",
                reason="rate",
                principal=principal.id,
                retry_after=wait,
            )

    def admit(self, principal: Principal, *, speaking: bool = False) -> None:
        """Count one request. Raises AccessRefused (`quota`) where a limit of the day is used up, that of audio only for whoever speaks.

        What is let in is finished, even beyond the limit; `charge` says what it took.
        """
        if principal.id == LOCAL:
            return
        exhausted = self._usage.begin(principal.id, principal.limits, speaking=speaking)
        if exhausted:
            raise self._exhausted(principal, exhausted)

    @contextmanager
    def reserved(self, principal: Principal, text: str, speed: float | None = None) -> Iterator[None]:
        """Hold back about as much audio as a text will be, until the block ends, in which `charge` says how much it was.

        So those who ask for much at once go beyond their limit by little. Raises AccessRefused (`quota`) where what was made
        and what is held back reach it.
        """
        if principal.id == LOCAL or principal.limits.audio_us is None:
            yield
            return
        audio_us = estimate.audio_us(text, speed)
        exhausted = self._usage.reserve(principal.id, principal.limits, audio_us)
        if exhausted:
            raise self._exhausted(principal, exhausted)
        try:
            yield
        finally:
            self._usage.give_back(principal.id, audio_us)

    def is_spent(self, principal: Principal) -> bool:
        """Whether a limit of the day is used up, whatever is asked; nothing is counted."""
        return principal.id != LOCAL and self._usage.is_spent(principal.id, principal.limits)

    def charge(self, principal: Principal, *, audio_us: int = 0, size: int = 0) -> None:
        """Count what was made (µs of audio) or sent (bytes) for somebody."""
        if principal.id != LOCAL:
            self._usage.add(principal.id, audio_us=audio_us, size=size)

    def used(self, principal: Principal) -> Used:
        """What somebody has used today; nothing is counted for the owner of HOME."""
        return Used() if principal.id == LOCAL else self._usage.today(principal.id)

    def day(self) -> Day:
        """The day that is counted in now."""
        return self._usage.day()

    def denied(self, reason: Denial, *, principal: str | None, address: str) -> None:
        """Somebody was turned away. Of an address a keyed hash is recorded, where no token says who it was."""
        self._denials.note(principal or self._hashed(address), reason)

    def write(self, *, whole: bool = False) -> None:
        """Write what was counted; of denials the minutes that are over, with `whole` also the present one."""
        for write in (self._usage.write, lambda: self._denials.write(whole=whole)):
            try:
                write()
            except VoxledgerError as error:
                if not self._failing:
                    _log.warning("what tokens use, and who was turned away, cannot be written now: %s", error)
                self._failing = True
            else:
                self._failing = False

    def _exhausted(self, principal: Principal, what: Exhausted) -> AccessRefused:
        if what == "reserved":
            message, wait = "what this token has under way may use up its audio of today", _UNDER_WAY
        else:
            message, wait = f"this token has used up its {what} of today", self._usage.day().end - self._clock()
        return AccessRefused(message, reason="quota", principal=principal.id, retry_after=wait)

    def _work(self) -> None:
        while not self._closing.wait(_WRITE):
            self.write()

    def _hashed(self, address: str) -> str:
        found = self._addresses.get(address)
        if found is None:
            if len(self._addresses) >= _REMEMBERED:
                self._addresses.clear()
            found = self._addresses[address] = self._recorder.vault.keyed_hash(
                network(address).encode(), purpose="address"
            )
        return found

    def _looked_up(self, token: str) -> _Known | None:
        present = time.monotonic()
        if present - self._looked > _LOOK:
            if self._reader.changed():
                self._known.clear()
            self._looked = present
        known = self._known.get(token)
        if known is None and (row := self._reader.one(token)) is not None:
            known = self._remember(row)
        return known

    def _remember(self, row: TokenRow) -> _Known | None:
        name = self._name(row.actor)
        if name is None:
            return None
        principal = Principal(id=row.id, name=name, role=row.role, scope=row.scope, limits=limits_of(row))  # type: ignore[arg-type]  # as they were written
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        known = self._known[row.id] = _Known(row, principal)
        return known

    def _name(self, actor: str) -> str | None:
        """What an actor is called; None where the vault does not know it, after an erasure say. The first answer stays good: a name
        goes only with its tokens.
        """
        name = self._names.get(actor)
        if name is None:
            key = self._recorder.vault.key(actor)
            if key is None or key.label is None:
                return None
            name = self._names[actor] = key.label
        return name


def network(address: str) -> str:
    """An address; of IPv6 the /64, because each machine has as many addresses there as it likes."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address
