"""An audience sent to a receiver's address: https only, to hosts that the operator allows, signed, and tried again.

`Found-Signature: t=SECONDS,v1=HEX`: HEX is HMAC-SHA256 of `SECONDS.BODY` under FOUND_EXPORT_SECRET; a receiver refuses
old seconds. Redirects are not followed: they could name any host. Every attempt has the same Found-Export id, so that a
receiver can drop what it has already.
"""

import hashlib
import hmac
import http.client
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import SplitResult, urlsplit

from serving.audiences.errors import ExportFailed, ExportHostRefused, ExportsDisabled

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 1.0
"""Doubled after every failed attempt."""
ANSWER_SECONDS = 30.0
_IN_MEMORY = 4 << 20


@dataclass(frozen=True)
class Receivers:
    """Where audiences may be sent, and the secret that signs them. `context` says which certificates are trusted."""

    hosts: tuple[str, ...]
    secret: str
    context: ssl.SSLContext | None = None
    pauses: tuple[float, ...] = field(default=tuple(FIRST_PAUSE_SECONDS * 2**at for at in range(ATTEMPTS - 1)))

    def refuse(self, url: str) -> None:
        """Raises ExportsDisabled, or ExportHostRefused for an address that is not of an allowed host."""
        if not self.hosts or not self.secret:
            raise ExportsDisabled(
                "this server was started without hosts to export to or without a secret to sign with."
            )
        parts = _parts(url)
        if parts is None or parts.scheme != "https" or parts.username or parts.password or not parts.hostname:
            raise ExportHostRefused("an export goes to an https address without a user name, found another.")
        if _host(parts) not in {host.lower() for host in self.hosts}:
            raise ExportHostRefused(f"exports may not go to {_host(parts)!r}.")


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
    or when `stopped` is set between two attempts.
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
    connection = http.client.HTTPSConnection(
        parts.hostname or "",
        parts.port,
        timeout=ANSWER_SECONDS,
        context=receivers.context or ssl.create_default_context(),
    )
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


def _host(parts: SplitResult) -> str:
    """`host`, or `host:port` where the port is not that of https."""
    name = (parts.hostname or "").lower()
    return name if parts.port in (None, 443) else f"{name}:{parts.port}"
