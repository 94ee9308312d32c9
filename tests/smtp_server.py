"""A real SMTP server on loopback (aiosmtpd), with the habits of those outside: greylisting, refusals, silence, broken lines.

What it answers is what RFC 5321 gives such answers for: 421 and 4xx pass, 5xx do not.
"""

from __future__ import annotations

import asyncio
import datetime
import email
import email.policy
import ipaddress
import ssl
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class _Controller(Controller):
    """On a port that the system chooses."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens at the next such step, once.

    `mail`, `rcpt` and `data` are answered with `reply`; `data` stands for the end of the letter, and `taken` says whether the letter
    is kept all the same. `hold`: the answer comes only when this event is set. `cut`: none comes, the line breaks.
    """

    at: Literal["mail", "rcpt", "data"]
    reply: str = ""
    taken: bool = False
    hold: threading.Event | None = None
    cut: bool = False


@dataclass
class SmtpServer:
    """In a `with` block. `letters` are those that were taken; `faults` come to pass in order."""

    users: dict[str, str] = field(default_factory=dict)
    certificate: tuple[Path, Path] | None = None
    """File of the certificate and of its key; then STARTTLS is offered, and nobody logs in without."""
    implicit: bool = False
    """TLS from the first byte, in place of STARTTLS."""
    utf8: bool = False
    """Addresses beyond ASCII are taken (SMTPUTF8)."""
    faults: list[Fault] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    tried: int = 0
    """How many letters came to their end, taken or not."""
    controller: Any = None

    def __enter__(self) -> SmtpServer:
        tls = None
        if self.certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*self.certificate)
        self.controller = _Controller(
            self, hostname="127.0.0.1", port=0, tls_context=None if self.implicit else tls, ssl_context=tls if self.implicit else None,
            authenticator=self._known if self.users else None, auth_required=bool(self.users) and not self.implicit,
            auth_require_tls=tls is not None and not self.implicit, enable_SMTPUTF8=self.utf8,
        )  # fmt: skip
        self.controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for fault in self.faults:
            if fault.hold is not None:
                fault.hold.set()
        self.controller.stop()

    @property
    def port(self) -> int:
        """On loopback."""
        port: int = self.controller.port
        return port

    def _known(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = self.users.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=right, handled=False)

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        answer, _ = await self._fault("mail", server)
        if answer:
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        answer, _ = await self._fault("rcpt", server)
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.tried += 1
        assert isinstance(envelope.content, bytes)
        letter = Letter(tuple(envelope.rcpt_tos), envelope.content, session.ssl is not None)
        answer, taken = await self._fault("data", server)
        if not answer or taken:
            self.letters.append(letter)
        return answer or "250 OK"

    async def _fault(self, at: str, server: SMTP) -> tuple[str, bool]:
        if not self.faults or self.faults[0].at != at:
            return "", True
        fault = self.faults.pop(0)
        while fault.hold is not None and not fault.hold.is_set():  # noqa: ASYNC110  # a test in another thread sets it
            await asyncio.sleep(0.01)
        if fault.cut:
            assert server.transport is not None
            server.transport.abort()
            return "421 cut", fault.taken
        return fault.reply, fault.taken or not fault.reply


@dataclass(frozen=True)
class Letter:
    """A letter that the server took: for whom, its bytes, and whether the line was encrypted."""

    recipients: tuple[str, ...]
    content: bytes
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        """As a mail program reads it."""
        found = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        return found


def self_made(folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback that nobody but its maker trusts, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
