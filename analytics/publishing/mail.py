"""The channel `mail`: a letter to all recipients, handed to one SMTP server (RFC 5321)."""

from __future__ import annotations

import hashlib
import logging
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

from voxledger.analytics.publishing.channel import Parcel
from voxledger.analytics.publishing.cutting import CONNECT, Cutter, trusted
from voxledger.analytics.publishing.errors import ChannelAway, ChannelRefused, DeliveryUnknown, NotDelivered
from voxledger.analytics.publishing.letter import letter, local_name, sender
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.events import now

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_STEPS = 4
"""All steps before the last one may take so many times the time limit of one."""
_LAST = 10
"""A server may look at a letter for long before it takes it; RFC 5321, 4.5.3.2.6, wants patience here."""
_MOST = 1200.0
"""Most seconds for either."""
_log = logging.getLogger(__name__)


class _Client(smtplib.SMTP):
    """A connection that is watched from its first byte."""

    def __init__(self, settings: catalog_settings.Mail, context: ssl.SSLContext, cutter: Cutter) -> None:
        self._cutter = cutter
        self._wrapped = context if settings.security == "tls" else None
        super().__init__(
            settings.host,
            settings.port or _PORTS[settings.security],
            local_hostname=local_name() or "[127.0.0.1]",
            timeout=max(0.01, settings.timeout),
        )

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((host, port), min(CONNECT, timeout))
        connection.settimeout(timeout)
        self._cutter.watch(connection)
        if self._wrapped is None:
            return connection
        try:
            return self._wrapped.wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise


class Mail:
    """Sends reports as mail."""

    name: Final = "mail"
    repeatable: Final = False

    def __init__(self, settings: catalog_settings.Mail) -> None:
        self._settings = settings

    @property
    def target(self) -> str:
        """How many recipients, and by which server."""
        count = len(self._settings.to)
        return f"{count} recipient{'' if count == 1 else 's'}, by {self._settings.host}"

    def send(self, parcel: Parcel, decisive: Callable[[], None], stop: threading.Event) -> str:
        """Hand the letter over for those who do not have it yet. Raises ChannelAway, ChannelRefused and DeliveryUnknown."""
        waiting = [address for address in self._settings.to if digest(address) not in parcel.taken]
        if not waiting:
            return ""
        content = letter(parcel, self._settings, now()).as_bytes()
        try:
            context = trusted(self._settings.ca_file)
        except OSError as error:
            raise ChannelRefused(
                f"mail.ca_file cannot be read: {error.strerror or error}", failure="CertificateFile"
            ) from error
        limit = min(_MOST, _STEPS * self._settings.timeout)
        with Cutter(limit, stop) as cutter:
            try:
                smtp = _Client(self._settings, context, cutter)
                try:
                    return self._handed_over(smtp, cutter, content, waiting, decisive)
                finally:
                    _farewell(smtp)
            except NotDelivered:
                raise
            except ssl.SSLCertVerificationError as error:
                raise ChannelRefused(
                    f"{self._settings.host} has no certificate that is trusted ({error.verify_message}); set mail.ca_file",
                    failure="CertificateVerifyFailed",
                ) from None
            except smtplib.SMTPNotSupportedError:
                raise ChannelRefused(
                    self._lacks("what mail.security or mail.user asks for"), failure="NotSupported"
                ) from None
            except smtplib.SMTPResponseException as error:
                self._refused(int(error.smtp_code), error.smtp_error)
            except (OSError, smtplib.SMTPException) as error:
                if type(error) is smtplib.SMTPException:  # what the library says when no way to log in is known to both
                    raise ChannelRefused(self._lacks("a way to log in that is known here"), failure="NoLogin") from None
                # Nothing decisive was sent: see `_last_step`.
                raise ChannelAway(
                    f"{self._settings.host} cannot be reached, or broke off ({_said(error)}); check mail.host and mail.port",
                    failure=_class(error),
                ) from None

    def _handed_over(
        self, smtp: smtplib.SMTP, cutter: Cutter, content: bytes, waiting: Sequence[str], decisive: Callable[[], None]
    ) -> str:
        settings = self._settings
        smtp.ehlo_or_helo_if_needed()
        if settings.security == "starttls":
            if not smtp.has_extn("starttls"):
                raise ChannelRefused(self._lacks("STARTTLS (mail.security)"), failure="NoStartTls")
            smtp.starttls(context=trusted(settings.ca_file))
            smtp.ehlo()
        if settings.user:
            smtp.login(settings.user, settings.password)
        address = sender(settings)
        options = [] if all(one.isascii() for one in (address, *waiting)) else ["SMTPUTF8"]
        if options and not smtp.has_extn("smtputf8"):
            raise ChannelRefused(self._lacks("addresses beyond ASCII (SMTPUTF8)"), failure="NoSmtpUtf8")
        if smtp.has_extn("size"):
            options.append(f"SIZE={len(content)}")
        code, said = smtp.mail(address, options)
        if code != 250:
            self._refused(code, said)
        taken, later, refused = self._recipients(smtp, waiting)
        if not taken:
            self._refused(*(later or refused)[0][1:])
        code, said = smtp.docmd("DATA")
        if code != 354:
            self._refused(code, said)
        smtp.send(re.sub(rb"(?m)^\.", b"..", content.removesuffix(b"\r\n")))
        self._last_step(smtp, cutter, decisive)
        have = [digest(one) for one in taken]
        if later:
            one, code, said = later[0]
            raise ChannelAway(
                f"{settings.host} does not take it for {len(later)} of {len(settings.to)} recipients yet, {one} among them:"
                f" {code} {_text(said)}",
                failure=str(code),
                taken=have,
            )
        if refused:
            one, code, said = refused[0]
            return f"{settings.host} refused {len(refused)} of {len(settings.to)} recipients, {one} among them: {code} {_text(said)}"
        return ""

    def _recipients(self, smtp: smtplib.SMTP, waiting: Sequence[str]) -> tuple[list[str], list[Any], list[Any]]:
        """Those who will get it, those for whom it is too early, and those who are refused, with what was said."""
        taken: list[str] = []
        later: list[tuple[str, int, bytes]] = []
        refused: list[tuple[str, int, bytes]] = []
        for one in waiting:
            code, said = smtp.rcpt(one)
            if code in (250, 251):
                taken.append(one)
            elif code == 421:
                self._refused(code, said)
            else:
                (later if code < 500 else refused).append((one, code, said))
        return taken, later, refused

    def _last_step(self, smtp: smtplib.SMTP, cutter: Cutter, decisive: Callable[[], None]) -> None:
        """The dot that ends the letter. What was sent before it counts for nothing; after it, only an answer tells."""
        patience = min(_MOST, _LAST * self._settings.timeout)
        decisive()
        cutter.wait_for_answer(patience)
        try:
            if smtp.sock is not None:
                smtp.sock.settimeout(max(0.01, patience))
            smtp.send(b"\r\n.\r\n")
            code, said = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryUnknown(
                f"{self._settings.host} got the letter and did not say whether it takes it ({_said(error)})",
                failure=_class(error),
            ) from None
        if 200 <= code < 300:
            return
        if not 400 <= code < 600:  # nobody knows what that means; a line without a number is -1
            raise DeliveryUnknown(
                f"{self._settings.host} got the letter and answered {code} {_text(said)}: whether it takes it is not known",
                failure="StrangeAnswer",
            )
        self._refused(code, said)

    def _refused(self, code: int, said: bytes | str) -> NoReturn:
        """What a negative answer means: 4xx passes, 5xx does not (RFC 5321, 4.2.1)."""
        answer = f"{self._settings.host} answered {code} {_text(said)}".rstrip()
        if code < 500:
            raise ChannelAway(answer, failure=str(code))
        remedy = "; check mail.user and mail.password" if code in (530, 534, 535, 538) else ""
        raise ChannelRefused(answer + remedy, failure=str(code))

    def _lacks(self, what: str) -> str:
        return f"{self._settings.host} does not offer {what}"


def digest(address: str) -> str:
    """A recipient in a task, without the address."""
    return hashlib.sha256(address.encode()).hexdigest()[:32]


def _farewell(smtp: smtplib.SMTP) -> None:
    """Nothing depends on it any more."""
    with suppress(OSError, smtplib.SMTPException):
        if smtp.sock is not None:
            smtp.sock.settimeout(1.0)
            smtp.quit()
    smtp.close()


def _class(error: BaseException) -> str:
    return type(error).__name__.removesuffix("Error")


def _said(error: BaseException) -> str:
    """What went wrong, without what a library may quote of the letter."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or _class(error) if isinstance(error, OSError) and error.errno else _class(error)


def _text(said: bytes | str) -> str:
    """A server's words, in one short line."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:200]
