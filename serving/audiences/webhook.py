"""An audience sent to a receiver's address: https, to hosts and networks that the operator allows, signed, tried again.

`Found-Signature: t=SECONDS,v1=HEX`: HEX is HMAC-SHA256 of `SECONDS.BODY` under FOUND_EXPORT_SECRET; a receiver refuses
old seconds. Redirects are not followed: they could name any host. Every attempt has the same Found-Export id, so that a
receiver can drop what it has already. A server that is alone with its machine may send to it, without https, too.
"""

import hashlib
import hmac
import http.client
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import SplitResult, urlsplit

from feature_repo.contracts.settings import Settings
from serving.access.loopback import is_loopback
from serving.audiences.addresses import LOOPBACK, Addresses, networks_of
from serving.audiences.errors import ExportFailed, ExportHostRefused, ExportsDisabled

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 1.0
"""Doubled after every failed attempt."""
ANSWER_SECONDS = 30.0
_IN_MEMORY = 4 << 20


_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Receivers:
    """Where audiences may be sent, and the secret that signs them. `context` says which certificates are trusted.

    `plain`: the loopback is reached by http, too.
    """

    hosts: tuple[str, ...]
    secret: str
    context: ssl.SSLContext | None = None
    pauses: tuple[float, ...] = field(default=tuple(FIRST_PAUSE_SECONDS * 2**at for at in range(ATTEMPTS - 1)))
    addresses: Addresses = field(default_factory=Addresses)
    plain: bool = False

    @property
    def enabled(self) -> bool:
        return bool(self.hosts and self.secret)

    def refuse(self, url: str) -> None:
        """Raises ExportsDisabled, ExportHostRefused for an address that is not of an allowed host, or
        ExportAddressRefused for one that is not of an allowed network. A name that nobody knows now may be known later.
        """
        if not self.enabled:
            raise ExportsDisabled(
                "this server was started without hosts to export to or without a secret to sign with."
            )
        parts = _parts(url)
        if parts is None or parts.username or parts.password or not parts.hostname or not self._speaks(parts):
            raise ExportHostRefused("an export goes to an https address without a user name, found another.")
        if _host(parts) not in {host.lower() for host in self.hosts}:
            raise ExportHostRefused(f"exports may not go to {_host(parts)!r}.")
        with suppress(OSError):
            self.addresses.of(parts.hostname, _port(parts))

    def _speaks(self, parts: SplitResult) -> bool:
        return parts.scheme == "https" or (parts.scheme == "http" and self.plain and is_loopback(parts.hostname or ""))


def receivers_of(settings: Settings, *, alone: bool) -> Receivers:
    """The receivers of these settings. `alone`: nobody but this machine reaches the server."""
    networks = networks_of(settings.names("export_networks")) + (LOOPBACK if alone else ())
    return Receivers(settings.names("export_hosts"), settings.export_secret, addresses=Addresses(networks), plain=alone)


def deliver(
    receivers: Receivers,
    url: str,
    body: Callable[[], Iterable[bytes]],
    headers: Mapping[str, str],
    *,
    tried: Callable[[int], None],
    stopped: threading.Event,
) -> None:
    """Posts what `body` streams until the receiver answers 2xx; `tried` hears the number of every attempt.

    Raises ExportFailed with the last failure after ATTEMPTS, at once for an answer that trying again will not change,
    or when `stopped` is set between two attempts; ExportAddressRefused.
    """
    receivers.refuse(url)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
        for piece in body():
            kept.write(piece)
        length = kept.tell()
        for attempt, pause in enumerate((*receivers.pauses, None), start=1):
            tried(attempt)
            told = _attempt(receivers, url, kept, length, headers, int(time.time()))
            if told is None:
                return
            if pause is None or not told.again or stopped.wait(pause):
                raise ExportFailed(
                    f"{_host(urlsplit(url))} did not take the export in {attempt} attempts: {told.said}."
                )


@dataclass(frozen=True)
class _Failure:
    said: str
    again: bool


def _attempt(
    receivers: Receivers, url: str, body: IO[bytes], length: int, headers: Mapping[str, str], seconds: int
) -> _Failure | None:
    parts = urlsplit(url)
    connection = _Connection(parts, receivers)
    signed = {**headers, "Content-Length": str(length), "Found-Signature": signature(receivers.secret, seconds, body)}
    body.seek(0)
    try:
        connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, signed)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return _Failure(type(error).__name__, again=True)
    finally:
        connection.close()
    if 200 <= status < 300:
        return None
    return _Failure(f"it answered {status}", again=status in (408, 425, 429) or status >= 500)


class _Connection(http.client.HTTPConnection):
    """Reaches allowed addresses alone."""

    def __init__(self, parts: SplitResult, receivers: Receivers) -> None:
        self.default_port = _PORTS[parts.scheme]
        super().__init__(parts.hostname or "", _port(parts), timeout=ANSWER_SECONDS)
        self._addresses = receivers.addresses
        self._tls = (receivers.context or ssl.create_default_context()) if parts.scheme == "https" else None

    def connect(self) -> None:
        reached = self._addresses.connect(self.host, self.port, ANSWER_SECONDS)
        self.sock = self._tls.wrap_socket(reached, server_hostname=self.host) if self._tls else reached


def signature(secret: str, seconds: int, body: IO[bytes]) -> str:
    """The value of Found-Signature for a body, read from its start."""
    digest = hmac.new(secret.encode(), f"{seconds}.".encode(), hashlib.sha256)
    body.seek(0)
    while piece := body.read(1 << 16):
        digest.update(piece)
    return f"t={seconds},v1={digest.hexdigest()}"


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port if parts.port is not None else _PORTS[parts.scheme]


def _host(parts: SplitResult) -> str:
    """`host`, or `host:port` where the port is not that of the scheme."""
    name = (parts.hostname or "").lower()
    return name if _port(parts) == _PORTS[parts.scheme] else f"{name}:{parts.port}"
