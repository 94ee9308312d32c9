"""Settings of the weekly report, and of the channels that take it to people."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from voxledger.catalog.errors import SettingsError
from voxledger.catalog.settings.kinds import Secret, Section, Span

LONGEST_LINK = 7 * 86400.0
"""Stores refuse links that live longer."""


class Report(Section, frozen=True, kw_only=True):
    """The weekly report: when it is made, what is in it, where it goes. Mail and webhook have sections of their own."""

    samples: Annotated[int, msgspec.Meta(ge=0, le=50)] = 8
    """Playable clips in the page."""
    at: str = "Mon 06:00"
    """When `voxledger serve` makes the report of a week that is over: weekday and time in `general.time_zone`; empty = never by
    itself."""
    folder: str = ""
    """Where scheduled reports are written; empty = HOME/reports."""
    bucket: str = "indextts-reports"
    """Bucket of the store that each revision is put into; empty = none."""
    link: Span = LONGEST_LINK
    """How long the page's links to clips that go next are good, at most 7d, and 0 = no links. Whoever gets the page hears them
    without a key; they do not count as use."""
    announce: Literal["first", "revisions"] = "first"
    """What mail and webhook tell of a week: first = the report, once; revisions = also what late events changed in it, while no newer
    week is over."""


class Mail(Section, frozen=True, kw_only=True):
    """The weekly report by mail (SMTP). Without a recipient none is sent."""

    to: tuple[str, ...] = ()
    """Who gets it."""
    sender: str = ""
    """From whom it comes; empty = `mail.user` where that is an address, else voxledger@ this machine."""
    host: str = ""
    """The server that takes it."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    """Its port; 0 = 587 with starttls, 465 with tls, 25 with none."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is protected; none = not at all, and then no password is sent."""
    ca_file: str = ""
    """File of certificates (PEM) that the server's is checked against; empty = those of the system."""
    user: str = ""
    """Who logs in; empty = nobody."""
    password: Secret = ""
    """The password of `mail.user`."""
    timeout: Span = 30.0
    """Time limit of each step with the server."""


class Webhook(Section, frozen=True, kw_only=True):
    """The weekly report as a message to a webhook that takes what Slack's take. Without a URL none is sent."""

    url: Secret = ""
    """Where it is posted to; whoever knows it may post there."""
    link: Span = 0.0
    """How long a link to the page in the store is good, which the message brings; at most 7d, and 0 = no link. Whoever gets the
    message reads the page without a key."""
    timeout: Span = 10.0
    """Time limit of the request, its answer included."""


_ADDRESS = re.compile(r"""(?!')[^@\s<>()\[\]{}"`\\,;\x00-\x1f]+@[^@\s<>()\[\]{}"'`\\,;\x00-\x1f]+""")
"""Without brackets and quotes, which are left over from a list; but O'Brien has one in the middle."""


def check_channels(report: Report, mail: Mail, webhook: Webhook) -> None:
    """Raises SettingsError for what could never be delivered. Secrets are not shown."""
    if report.link > LONGEST_LINK:
        raise SettingsError("report.link is longer than 7d, and stores refuse such links", name="report.link")
    for name, addresses in (("mail.to", mail.to), ("mail.sender", (mail.sender,) if mail.sender else ())):
        for address in addresses:
            if not _ADDRESS.fullmatch(address):
                raise SettingsError(f"{name}: {address!r} is no address, such as 'ann@example.org'", name=name)
    if mail.to and not mail.host:
        raise SettingsError("mail.to names recipients, but mail.host names no server; set it", name="mail.host")
    if mail.password and not mail.user:
        raise SettingsError("mail.password is set, but mail.user says nobody who logs in with it", name="mail.user")
    if mail.user and mail.security == "none":
        raise SettingsError(
            'mail.security = "none" would send mail.password in the open; choose "starttls" or "tls"',
            name="mail.security",
        )
    if webhook.url and not re.fullmatch(r"https?://[^/@\s]+(/\S*)?", webhook.url):
        raise SettingsError(
            "webhook.url is no URL, such as https://hooks.example.org/…; copy it again", name="webhook.url"
        )
    if webhook.link > LONGEST_LINK:
        raise SettingsError("webhook.link is longer than 7d, and stores refuse such links", name="webhook.link")
