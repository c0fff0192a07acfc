"""The record of what was asked: one JSON line a request in `WORKDIR/audit/DAY.jsonl`, and what it is made of.

A line says who asked which route, how it ended and what answered. It never holds what was typed or whom it was about:
routes are named by their templates, audiences by ids that this server gave.
"""

import json
import logging
import os
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving.versions import VERSIONS

SYNC_SECONDS = 0.5
"""So much of the record may be lost when the machine loses its power; nothing when the process ends."""
_log = logging.getLogger(__name__)
_noted: ContextVar[dict[str, Any] | None] = ContextVar("noted", default=None)


class AuditLog:
    """Appends to the file of the day, which nobody else can read; thread-safe. Close it.

    The file is opened for every line: it may be moved away at any time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        self._unsynced: set[Path] = set()
        self._closed = threading.Event()
        self._syncing = threading.Thread(target=self._sync_again_and_again, name="audit", daemon=True)
        self._syncing.start()

    def write(self, **told: Any) -> None:
        """One line, handed to the operating system at once. A full disk is told in the log, and stops no answer."""
        now = datetime.now(UTC)
        line = json.dumps({"time": now.isoformat(timespec="milliseconds"), **told}) + "\n"
        path = self._folder / f"{now.date().isoformat()}.jsonl"
        try:
            with self._turn:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                _append(path, line.encode())
                self._unsynced.add(path)
        except OSError as error:
            _log.error("the audit log %s cannot be written: %s", self._folder, error.strerror)

    def close(self) -> None:
        self._closed.set()
        self._syncing.join()
        self._sync()

    def _sync_again_and_again(self) -> None:
        while not self._closed.wait(SYNC_SECONDS):
            self._sync()

    def _sync(self) -> None:
        with self._turn:
            paths, self._unsynced = self._unsynced, set()
        for path in paths:
            try:
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            except FileNotFoundError:
                continue  # moved away
            except OSError as error:
                _log.error("the audit log %s cannot be synced: %s", self._folder, error.strerror)


def _append(path: Path, line: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def start() -> dict[str, Any]:
    """What is noted from here on, in this request and the threads that answer it."""
    noted: dict[str, Any] = {}
    _noted.set(noted)
    return noted


def note(answer: Any = None, **told: Any) -> None:
    """Adds facts to the line of the request under way: these, and the versions of an answer that has some."""
    noted = _noted.get()
    if noted is None:
        return
    given = answer if isinstance(answer, Mapping) else {name: getattr(answer, name, None) for name in VERSIONS}
    versions = {name: given.get(name) for name in VERSIONS}
    noted.update({name: value for name, value in {**versions, **told}.items() if value not in (None, "")})
