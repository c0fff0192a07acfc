"""API keys: random words of 256 bits, of which a file holds the hashes.

A key says its own id (`found_ID_SECRET`), so that one is looked up and compared in constant time. A secret that is
random and this long needs no slow hash: nobody guesses it from its SHA-256.
"""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from serving.access.errors import InvalidAccess, KeyUnknown
from serving.access.roles import ROLES, Role, role_of

PREFIX = "found"
LONGEST_NAME = 200


@dataclass(frozen=True)
class Key:
    """What is kept of a key. `revoked_at` is empty while it is good."""

    id: str
    name: str
    role: str
    created_at: str
    hash: str
    revoked_at: str = ""


@dataclass(frozen=True)
class Holder:
    """Who a key stands for."""

    key_id: str
    role: Role


class Keys:
    """The keys in one file; other processes' changes are seen at the next question. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[tuple[int, int, int], dict[str, Key]] = ((0, 0, 0), {})

    def create(self, *, name: str, role: str) -> tuple[Key, str]:
        """A new key, and its text, which is kept nowhere."""
        if role not in ROLES:
            raise InvalidAccess(f"a role is one of {', '.join(ROLES)}, found {role!r}.")
        if not 1 <= len(name.strip()) <= LONGEST_NAME:
            raise InvalidAccess(f"a key's name has 1 to {LONGEST_NAME} characters, found {len(name.strip())}.")
        text = f"{PREFIX}_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
        made = Key(_id_of(text), name.strip(), role, _now(), _hash(text))
        with self._changing() as keys:
            keys[made.id] = made
        return made, text

    def revoke(self, key_id: str) -> Key:
        """From now on the key is refused. Raises KeyUnknown for one that is not there or was revoked before."""
        with self._changing() as keys:
            found = keys.get(key_id)
            if found is None or found.revoked_at:
                raise KeyUnknown(f"there is no key {key_id!r} that is good.")
            keys[key_id] = Key(**{**asdict(found), "revoked_at": _now()})
            return keys[key_id]

    def all(self) -> list[Key]:
        """Every key that was made, the oldest first, revoked ones included."""
        return list(self._known().values())

    def holder(self, text: str) -> Holder | None:
        """Whom this key stands for; None for what is no good key."""
        found = self._known().get(_id_of(text))
        good = found is not None and secrets.compare_digest(found.hash, _hash(text)) and not found.revoked_at
        return Holder(found.id, role_of(found.role)) if found and good else None

    def usable(self) -> bool:
        return any(not key.revoked_at for key in self._known().values())

    def _known(self) -> dict[str, Key]:
        try:
            about = self._path.stat()
        except FileNotFoundError:
            return {}
        seen = about.st_mtime_ns, about.st_ino, about.st_size
        if seen != self._read[0]:
            self._read = seen, _keys_in(self._path)
        return self._read[1]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Key]]:
        """The keys, written back as one; processes take turns."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self._path.with_suffix(".lock"), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = dict(_keys_in(self._path)) if self._path.exists() else {}
            yield keys
            beside = self._path.with_suffix(".new")
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump([asdict(key) for key in keys.values()], file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)


def _keys_in(path: Path) -> dict[str, Key]:
    try:
        found = [Key(**each) for each in json.loads(path.read_text())]
        return {key.id: key for key in found if role_of(key.role)}
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidAccess(
            f"{path} must hold the keys that `found keys` wrote, it cannot be read: {error}."
        ) from error


def _id_of(text: str) -> str:
    parts = text.split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == PREFIX else ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
