"""The letter: a report as a message that mail programs read, plain and as HTML."""

from __future__ import annotations

import socket
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from voxledger.analytics.publishing.channel import Parcel
from voxledger.analytics.report import mail_parts
from voxledger.catalog import settings as catalog_settings


def sender(settings: catalog_settings.Mail) -> str:
    """From whom letters come."""
    if settings.sender:
        return settings.sender
    return settings.user if "@" in settings.user else f"voxledger@{local_name() or 'localhost.localdomain'}"


def local_name() -> str:
    """The name of this machine where it is a whole one, else `""`; nobody is asked for it."""
    name = socket.gethostname()
    return name if "." in name else ""


def message_id(node: str, week: str, revision: int, address: str) -> str:
    """The same for the same report however often it is sent, so that a mailbox can tell that it has it."""
    return f"<report.{week}.r{revision}.{node}@{address.rpartition('@')[2]}>"


def letter(parcel: Parcel, settings: catalog_settings.Mail, now: datetime) -> EmailMessage:
    """The whole message, its lines short and in ASCII whatever the report holds."""
    parts, address = mail_parts(parcel.report), sender(settings)
    plain = all(one.isascii() for one in (address, *settings.to))
    made = EmailMessage(policy=SMTP.clone(cte_type="7bit", utf8=not plain))
    made["From"] = _named(address, "Voxledger")
    made["To"] = [_named(recipient) for recipient in settings.to]
    made["Subject"] = parts.subject
    made["Date"] = format_datetime(now)
    made["Message-ID"] = message_id(parcel.node, parcel.week, parcel.revision, address)
    if parcel.report.revises is not None:
        made["In-Reply-To"] = made["References"] = message_id(parcel.node, parcel.week, parcel.report.revises, address)
    made["Auto-Submitted"] = "auto-generated"  # so that nobody's absence answers
    made.set_content(parts.text, cte="quoted-printable")
    made.add_alternative(parts.html, subtype="html", cte="quoted-printable")
    html = list(made.iter_parts())[-1]
    assert isinstance(html, EmailMessage)
    for name, image in parts.images.items():
        html.add_related(image, "image", "png", cid=f"<{name}>")
    return made


def _named(address: str, name: str = "") -> Address:
    """Parts are not parsed, so that what a server takes is not judged here."""
    user, _, domain = address.rpartition("@")
    return Address(name, user, domain)
