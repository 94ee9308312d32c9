"""Commands about tokens: `tokens create | list | revoke`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.access import Limits, Rate, Scope
from voxledger.catalog.errors import TokenError
from voxledger.catalog.events.access import Role
from voxledger.catalog.settings import format_span, parse_size, parse_span
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.access import Token
    from voxledger.dashboards.door import Door


class Commands:
    """The commands about tokens, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[AbstractContextManager[Door]]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        tokens = App(name="tokens", help="Let programs and people into the node of `voxledger serve`, and out again.")
        tokens.command(self.create)
        tokens.command(self.list_, name="list")
        tokens.command(self.revoke)
        app.command(tokens)

    def create(
        self,
        *,
        role: Role,
        name: str | None = None,
        expires: str | None = None,
        scope: Scope | None = None,
        rate: str | None = None,
        requests: int | None = None,
        audio: str | None = None,
        bytes: str | None = None,
        json: bool = False,
    ) -> None:
        """Make a token, and show it once: `Authorization: Bearer TOKEN` lets its owner in.

        docs/permissions.md says what each role may. Nobody can show a token again: the node keeps only a hash of it. Limits are
        those of a day in `general.time_zone`; what goes beyond them is answered with 429 and the time to wait.

        **Examples**

            voxledger tokens create --role viewer --name "the wall in the studio"
            voxledger tokens create --role creator --name ann --expires 90d --audio 2h
            voxledger tokens create --role creator --name player --scope all --rate 60/min --requests 20000 --bytes 5GB
            TOKEN=$(voxledger tokens create --role analyst --expires 2027-12-31 --json | jq -r .token)

        Parameters
        ----------
        role
            What it permits.
        name
            Who it is for: the actor in whose name everything is recorded, and whose clips count as its own. Without one, token-ID.
        expires
            When it ends by itself: 30d from now, 2027-12-31 (the end of that day), or a time with an offset. Without it, never.
        scope
            Whose clips it sees and changes: own or all. Without it own for creators, all for the others; without all there are no
            metrics, reports, SQL and retention.
        rate
            Requests in a time, such as 60/min: so many at once, and then as they come back.
        requests
            Most requests in a day.
        audio
            Most audio that is made in a day, such as 2h.
        bytes
            Most bytes that are sent in a day, such as 5GB.
        json
            Print one JSON document.
        """
        from voxledger.catalog.query.moment import end_of

        limits = Limits(
            rate=None if rate is None else Rate.parse(rate), requests=requests, audio_us=_microseconds(audio), bytes=_bytes(bytes)
        )  # fmt: skip
        with self._opened() as door:
            until = end_of("--expires", expires, door.settings.general.time_zone)
            made = door.tokens.create(role, name=name, expires=until, scope=scope, limits=limits)
        if json:
            terminal.print_json(made.as_dict())
            return
        terminal.console.print(terminal.text(made.written), soft_wrap=True)
        terminal.errors.print(terminal.text(f"{_told(made.token)}. It is shown only now."), soft_wrap=True)

    def list_(self, *, every: bool = False, json: bool = False) -> None:
        """List the tokens that open something: what each may, when it was used last, and what it has used today.

        **Examples**

            voxledger tokens list
            voxledger tokens list --every --json | jq -r '.[] | select(.state == "expired") | .id'

        Parameters
        ----------
        every
            Also those that have expired or were revoked.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found = door.tokens.list(every=every)
        if json:
            terminal.print_json([token.as_dict() for token in found])
            return
        if not found:
            terminal.console.print("no tokens; `voxledger tokens create --role …` makes one")
            return
        made = terminal.table("", "token", "name", "may", "expires", "used last", "today, and what it is held to")
        for place in (0, 4):
            made.columns[place].no_wrap = True
        for token in found:
            held = _limits(token.limits)
            made.add_row(
                token.id, terminal.text(token.name or "(erased)"), f"{token.role}, {token.scope}", _end(token),
                terminal.moment(token.used)[5:16] if token.used else "never",
                terminal.text(_today(token) + (f"\nat most {held}" if held else "")),
            )  # fmt: skip
        terminal.console.print(made)

    def revoke(self, token: str, /, *, reason: str | None = None, json: bool = False) -> None:
        """End a token: within a second nobody gets in with it any more. What it was used for stays recorded.

        **Examples**

            voxledger tokens revoke 3f9c2e10aa51
            voxledger tokens revoke 3f9c --reason "the laptop was lost"

        Parameters
        ----------
        token
            Its id, or at least the first 4 digits of it; never the token itself.
        reason
            Why, for the record; sealed.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            ended = door.tokens.revoke(token, reason=reason)
        if json:
            terminal.print_json(ended.as_dict())
        else:
            terminal.console.print(terminal.text(f"revoked {ended.id}, {ended.role} {ended.name or ''}".rstrip()))


def _microseconds(audio: str | None) -> int | None:
    if audio is None:
        return None
    try:
        return round(parse_span(audio) * 1e6)
    except ValueError as error:
        raise TokenError(f"--audio: {error}") from None


def _bytes(size: str | None) -> int | None:
    if size is None:
        return None
    try:
        return parse_size(size)
    except ValueError as error:
        raise TokenError(f"--bytes: {error}") from None


def _told(token: Token) -> str:
    end = f", until {terminal.moment(token.expires)[:16]}" if token.expires else ""
    whose = "its own clips" if token.scope == "own" else "everybody's clips"
    return f"token {token.id}: {token.role} {token.name}, sees {whose}{end}"


def _end(token: Token) -> str:
    if token.revoked:
        return f"revoked {terminal.moment(token.revoked)[:16]}"
    return terminal.moment(token.expires)[:16] if token.expires else "never"


def _today(token: Token) -> str:
    used = token.today
    audio = f", {terminal.length(used.audio_us / 1e6)} of audio" if used.audio_us else ""
    size = f", {terminal.size(used.bytes)}" if used.bytes else ""
    return f"{terminal.count(used.requests, 'request')}{audio}{size}" if used.requests else "–"


def _limits(limits: Limits) -> str:
    found = [str(limits.rate)] if limits.rate else []
    if limits.requests is not None:
        found.append(f"{limits.requests:,} requests")
    if limits.audio_us is not None:
        found.append(f"{format_span(limits.audio_us / 1e6)} of audio")
    if limits.bytes is not None:
        found.append(terminal.size(limits.bytes))
    return ", ".join(found)
