"""What is kept of a lake beside the measures of its methods: JSON documents, each computed once for a fingerprint.

FOLDER/LAKE/NAME.json
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from feature_repo.contracts.errors import FoundError
from model.evaluation.files import write_atomically
from model.evaluation.results import Fingerprint

VERSION = 1
"""Of what the documents mean: raise it with them."""


@dataclass(frozen=True)
class Note:
    """A document that the report needs of a lake."""

    lake: str
    name: str
    fingerprint: Fingerprint

    def path(self, folder: Path) -> Path:
        return folder / self.lake / f"{self.name}.json"

    @property
    def head(self) -> dict[str, Any]:
        return {"version": VERSION, "fingerprint": asdict(self.fingerprint)}


def holds(folder: Path, note: Note) -> bool:
    """Is there one, of this fingerprint?"""
    try:
        told = json.loads(note.path(folder).read_text())
        return bool({name: told[name] for name in note.head} == note.head and "document" in told)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def keep(folder: Path, note: Note, compute: Callable[[], Mapping[str, Any]]) -> bool:
    """Computes and writes the document where it does not hold; was it to be computed?"""
    if holds(folder, note):
        return False
    told = note.head | {"document": compute()}
    write_atomically(note.path(folder), json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    return True


def read_notes(folder: Path) -> dict[str, dict[str, Any]]:
    """{lake: {name: document}} of all that lie in a folder. Raises FoundError for a file that is none."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*/[!.]*.json")):
        try:
            found.setdefault(path.parent.name, {})[path.stem] = json.loads(path.read_text())["document"]
        except (ValueError, KeyError, TypeError) as error:
            raise FoundError(f"{path} holds no document ({error!r}): delete it, and it is computed again.") from error
    return found
