"""`found audiences`: the stored audiences on the command line, read from the store, whether a server runs or not."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from serving.audiences.database import Database
from serving.audiences.errors import AudienceNotReady
from serving.audiences.records import READY, StoredAudience
from serving.audiences.store import AudienceStore
from serving.progress import table

MOST_SHOWN = 1_000


def open_store(settings: Settings) -> AudienceStore:
    """The store of the work directory. Raises FoundError where no audience was ever stored."""
    path = settings.work.audiences
    if not path.is_file():
        raise FoundError(
            f"no audience was stored in {settings.work.root}: there is no {path}. POST /v1/audiences of `found serve` "
            "stores one."
        )
    return AudienceStore(Database(path))


def listed(settings: Settings) -> str:
    """The audiences as a table, the newest first."""
    found = open_store(settings).page(limit=MOST_SHOWN)
    rows = [(a.id, a.name, a.status, str(a.size), _expected(a), _realised(a), a.ds) for a in found]
    return table(("id", "name", "status", "users", "expected", "realised", "as of"), rows)


def shown(settings: Settings, name: str) -> str:
    """One audience as JSON, without its members and its seeds."""
    return json.dumps(vars(open_store(settings).get(name)), indent=1, ensure_ascii=False)


def exported(settings: Settings, name: str, *, format: str, out: str) -> str:
    """Writes the members that are exported to a file, or to standard output for '-'; says how many."""
    # Imported late: what writes Parquet takes a second to load, and a list needs none of it.
    from serving.audiences.formats import streamed

    store = open_store(settings)
    audience = store.get(name)
    if audience.status != READY:
        raise AudienceNotReady(f"the audience {name} is {audience.status}.")
    pieces = streamed(store.members(name), format, audience.versions)
    if out == "-":
        _write(sys.stdout.buffer, pieces)
        return ""
    beside = Path(out).with_name(f".{Path(out).name}.new")
    with beside.open("wb") as file:
        _write(file, pieces)
    beside.replace(out)
    return f"{audience.size - audience.held_out} users written to {out}, {audience.held_out} are held out"


def deleted(settings: Settings, name: str) -> str:
    """Removes an audience, what it holds and what its exports were; what was exported is the receiver's."""
    gone = open_store(settings).delete(name)
    return f"{gone.id} ({gone.name}, {gone.size} users) is deleted"


def _write(file: IO[bytes], pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        file.write(piece)
    file.flush()


def _expected(audience: StoredAudience) -> str:
    return f"{audience.prediction['expected']:.1f}" if audience.prediction else ""


def _realised(audience: StoredAudience) -> str:
    found = audience.backtest or {}
    return str(found["realised"]["count"]) if "realised" in found else str(found.get("status", ""))
