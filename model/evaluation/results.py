"""What is kept of one method on one lake with one seed: a small JSON file, named by what it was computed from.

    FOLDER/LAKE/METHOD.SEED.json

A file whose fingerprint still holds is never computed again, so a run that was stopped goes on where it was.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from feature_repo.contracts.errors import FoundError
from model.evaluation.bootstrap import Measured
from model.evaluation.files import write_atomically
from model.evaluation.measures import MAIN, ScenarioMeasures

VERSION = 2
"""Of the files' format and of what the measures mean: raise it with either."""

SUFFIX = ".json"
NAME = re.compile(r"[A-Za-z0-9_+-]+")


@dataclass(frozen=True)
class Fingerprint:
    """Digests of all that a result depends on beside its seed."""

    data: str
    code: str
    recipe: str


@dataclass(frozen=True)
class Wanted:
    """A result that the tables need."""

    method: str
    lake: str
    seed: int
    fingerprint: Fingerprint

    def __post_init__(self) -> None:
        for name in (self.method, self.lake):
            if not NAME.fullmatch(name):
                raise FoundError(f"methods and lakes are named by letters, digits, _, + and -; found {name!r}.")

    def path(self, folder: Path) -> Path:
        return folder / self.lake / f"{self.method}.{self.seed}{SUFFIX}"

    def __str__(self) -> str:
        return f"method {self.method!r} on lake {self.lake!r} with seed {self.seed}"


@dataclass(frozen=True)
class Result:
    """The measures of each scenario and of the lake as a whole (their means, specificity, ...), or why there are none:
    `absent` says what was not at hand."""

    what: Wanted
    wall_seconds: float = 0.0
    scenarios: Mapping[str, ScenarioMeasures] = field(default_factory=dict)
    overall: Mapping[str, Measured] = field(default_factory=dict)
    absent: str = ""


def digest(value: object) -> str:
    """Of anything that JSON can hold; the order of keys is no part of it."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()[:16]


def digest_files(paths: Iterable[Path]) -> str:
    """Of the names and contents of files, in any order: a method's code, a lake's tables. Where they lie is no part of
    it; several may have one name."""
    return digest(sorted([path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in paths))


def write(folder: Path, result: Result) -> Path:
    """The file's path, after it was put in its place at once. Replicates are kept of the lake's measures, of single
    scenarios those of the main measure alone."""
    told = {
        "version": VERSION,
        **asdict(result.what),
        "wall_seconds": round(result.wall_seconds, 2),
        "absent": result.absent,
        "overall": {name: found.packed() for name, found in result.overall.items()},
        "scenarios": {name: _packed(found) for name, found in result.scenarios.items()},
    }
    return write_atomically(result.what.path(folder), json.dumps(told, separators=(",", ":"), allow_nan=False) + "\n")


def read(path: Path, expected: Wanted | None = None) -> Result:
    """What `write` kept. Raises FoundError, naming what differs, for a file of another version, for one that is no
    result, and for another fingerprint than expected."""
    try:
        told = json.loads(path.read_text())
        version = told["version"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise FoundError(f"{path} holds no result ({error!r}): delete it, and it is computed again.") from error
    if version != VERSION:
        raise FoundError(
            f"{path} is of version {version}, this code reads {VERSION}: delete it, and it is computed again."
        )
    try:
        result = _result(told)
    except (KeyError, TypeError, ValueError) as error:
        raise FoundError(f"{path} is incomplete ({error!r}): delete it, and it is computed again.") from error
    if expected and expected != result.what:
        raise FoundError(f"{path} is a result of another {_difference(result.what, expected)}: compute it again.")
    return result


def read_all(folder: Path) -> list[Result]:
    """Every result of a folder, by lake, method and seed."""
    found = [read(path) for path in folder.glob(f"*/[!.]*{SUFFIX}")]
    return sorted(found, key=lambda result: (result.what.lake, result.what.method, result.what.seed))


def pending(folder: Path, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Those that have no file, or a file that `read` refuses; in the order given. The rest need not be computed."""
    return [one for one in wanted if not _holds(folder, one)]


def _holds(folder: Path, wanted: Wanted) -> bool:
    try:
        read(wanted.path(folder), wanted)
    except (FileNotFoundError, FoundError):
        return False
    return True


def _packed(found: ScenarioMeasures) -> dict[str, Any]:
    kept = {f.name: getattr(found, f.name) for f in fields(found)}
    alone = {name: Measured(measure.value, np.zeros(0)) for name, measure in found.measures.items() if name != MAIN}
    return kept | {"measures": {name: measure.packed() for name, measure in {**found.measures, **alone}.items()}}


def _result(told: Mapping[str, Any]) -> Result:
    what = Wanted(told["method"], told["lake"], told["seed"], Fingerprint(**told["fingerprint"]))
    scenarios = {
        name: ScenarioMeasures(**found | {"measures": _unpacked(found["measures"])})
        for name, found in told["scenarios"].items()
    }
    return Result(what, told["wall_seconds"], scenarios, _unpacked(told["overall"]), told["absent"])


def _unpacked(measures: Mapping[str, Any]) -> dict[str, Measured]:
    return {name: Measured.unpacked(found) for name, found in measures.items()}


def _difference(found: Wanted, expected: Wanted) -> str:
    """Names each part that differs, with both values."""
    both = (asdict(found) | asdict(found.fingerprint), asdict(expected) | asdict(expected.fingerprint))
    parts = [name for name in both[1] if name != "fingerprint" and both[0][name] != both[1][name]]
    return " and ".join(f"{name} (found {both[0][name]!r}, expected {both[1][name]!r})" for name in parts)
