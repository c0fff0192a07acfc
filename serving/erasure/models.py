"""One user out of what lies beside a model's weights. The weights are no rows: they forget with the next training."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import Workdir
from feature_repo.contracts.pair_files import known_as
from serving.erasure.person import Person
from serving.erasure.tables import MANIFEST

_CALIBRATION, _CONFIG = "calibration.json", "config.json"


@dataclass(frozen=True)
class FromCalibrations:
    """How many past users went, and the calibrations that could not be searched and are gone as a whole."""

    users: int = 0
    dropped: tuple[str, ...] = ()


def forget(root: Path, person: Person, texts: "np.ndarray") -> FromCalibrations:
    """The calibrations of every model below `root` without the user.

    Past users have no ids. A calibration is searched by the pairs that its model was trained on; where these are not
    kept any more, or nobody would be left, the whole calibration goes: until it is fitted again its model answers
    without.
    """
    users, dropped = 0, []
    for folder in calibrated(root):
        found = _searched(folder, person, texts)
        if found is None:
            from model.forgetting import drop_calibration

            drop_calibration(folder)
            dropped.append(folder.name)
        else:
            users += found
    return FromCalibrations(users, tuple(dropped))


def calibrated(root: Path) -> Iterator[Path]:
    """The folders of models that have a calibration."""
    for models in sorted({path.parent.parent for path in root.rglob(f"models/*/{_CALIBRATION}")}):
        yield from sorted(path.parent for path in models.glob(f"*/{_CALIBRATION}"))


def _searched(folder: Path, person: Person, texts: "np.ndarray") -> int | None:
    """How many went; None where the calibration cannot be searched."""
    work = Workdir(folder.parent.parent)
    if not _trained_on(folder, work.pairs):
        return None
    # Imported late: torch takes seconds, and a work directory without a calibration needs none of it.
    from model.data import open_pairs
    from model.forgetting import forget_past_user

    try:
        return forget_past_user(folder, open_pairs(work.pairs), work.text_cache, user_key=person.key, texts=texts)
    except FoundError:
        return None


def _trained_on(folder: Path, pairs: Path) -> bool:
    """Is it these pairs that the model was trained on, be it before users were erased from them?"""
    try:
        trained = json.loads((folder / _CONFIG).read_text())["metadata"]["pairs"]
        return trained in known_as(json.loads((pairs / MANIFEST).read_text()))
    except (OSError, ValueError, KeyError):
        return False
