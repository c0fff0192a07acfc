"""What an erasure did, place by place; the id is not in it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from feature_repo.contracts.publication import write_json
from serving.progress import table


@dataclass(frozen=True)
class Place:
    """What was removed from one place, and what was done so that no file keeps it."""

    name: str
    removed: int
    unit: str
    compacted: str = ""


@dataclass(frozen=True)
class Receipt:
    """`user` is the block list's keyed hash. `left` are files of the work directory in which the id still occurs, which
    may be by chance; `source_lake` are those of the lake, which is its owner's and is never changed."""

    user: str
    erased_at: str
    known: bool
    newly_blocked: bool
    places: Sequence[Place]
    calibrations_dropped: Sequence[str]
    delivered_exports: Sequence[dict[str, str]]
    left: Sequence[str]
    source_lake: Sequence[str]
    not_searched: Sequence[str]
    suppression_list: str = ""
    file: str = field(default="", compare=False)

    def document(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "file"}

    def stored(self, folder: Path) -> "Receipt":
        """The receipt as `FOLDER/HASH.TIME.json`."""
        path = folder / f"{self.user}.{self.erased_at.replace(':', '').replace('-', '')[:15]}Z.json"
        write_json(path, self.document())
        return Receipt(**{**vars(self), "file": str(path)})


def printed(told: dict[str, Any]) -> str:
    """A receipt for a human."""
    rows = [(p["name"], str(p["removed"]), p["unit"], p["compacted"]) for p in told["places"]]
    lines = [table(("place", "removed", "", "compacted"), rows), ""]
    if not told["known"]:
        lines.append("the user was found nowhere; later runs leave the id out all the same")
    lines += _listed("the id still occurs in these files of the work directory", told["left"])
    lines += _listed("the source lake is its owner's; the user is still in these files of it", told["source_lake"])
    lines += _listed("not searched", told["not_searched"])
    lines += _listed("receivers of these exports have the user", [each["id"] for each in told["delivered_exports"]])
    lines += _listed("models that answer uncalibrated until the next training", told["calibrations_dropped"])
    if told["suppression_list"]:
        lines.append(f"the suppression list {told['suppression_list']} names the user; it is its owner's")
    return "\n".join([*lines, f"receipt of {told['user'][:12]}..., {told['erased_at']}"])


def _listed(what: str, names: Sequence[str]) -> list[str]:
    return [f"{what}:", *(f"  {name}" for name in names)] if names else []


def dumps(told: dict[str, Any]) -> str:
    return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False)
