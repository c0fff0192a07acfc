"""Who was erased, and stays out of later runs: a keyed hash of each id, and no id.

`FOLDER/blocked` holds one HMAC-SHA256 a line. Its key, `FOLDER/key`, is random, made on first use and readable by its
owner alone: without it nobody can try out ids against the list.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from feature_repo.contracts.errors import FoundError

KEY, LIST = "key", "blocked"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Blocked:
    """The list as it was read; small enough to travel to every worker."""

    key: bytes = b""
    digests: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.digests)

    def holds(self, user_id: str) -> bool:
        return bool(self.digests) and keyed_hash(self.key, user_id) in self.digests

    def among(self, user_ids: Iterable[str]) -> list[str]:
        """Those of the ids that are blocked."""
        return [user for user in user_ids if self.holds(user)] if self.digests else []


@dataclass(frozen=True)
class BlockList:
    """The list of one work directory."""

    folder: Path

    def read(self) -> Blocked:
        """Empty where nobody was erased. Raises FoundError where there are hashes and no key, which would let everybody
        back in."""
        if not (self.folder / LIST).exists():
            return Blocked()
        return Blocked(self._known_key(), frozenset((self.folder / LIST).read_text().split()))

    def hash_of(self, user_id: str) -> str:
        """What stands for the user in the list; makes the key where there is none."""
        return keyed_hash(self._key(), user_id)

    def add(self, user_id: str) -> bool:
        """Blocks the user; False where that was done before."""
        own, known = self.hash_of(user_id), self.read().digests
        if own in known:
            return False
        beside = self.folder / f".{LIST}.new"
        beside.write_text("".join(f"{digest}\n" for digest in sorted({*known, own})))
        beside.replace(self.folder / LIST)
        return True

    def _known_key(self) -> bytes:
        try:
            return bytes.fromhex((self.folder / KEY).read_text())
        except (OSError, ValueError) as error:
            raise FoundError(
                f"{self.folder / LIST} lists erased users by hashes under the key in {self.folder / KEY}, which cannot "
                f"be read: {error}. Restore that file: without it erased users would come back."
            ) from error

    def _key(self) -> bytes:
        path = self.folder / KEY
        if not path.exists() and not (self.folder / LIST).exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            beside = self.folder / f".{KEY}.{secrets.token_hex(4)}"
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_bytes(_KEY_BYTES).hex())
            _first_wins(beside, path)
        return self._known_key()


def keyed_hash(key: bytes, user_id: str) -> str:
    return hmac.new(key, user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _first_wins(beside: Path, path: Path) -> None:
    """Another process may have made the key in between: then its key stands."""
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()
