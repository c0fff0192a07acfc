"""Which of several model folders is in service: a one-line file, replaced atomically."""

import os
from pathlib import Path

from feature_repo.contracts.errors import FoundError

CURRENT = "CURRENT"


def set_current(folder: Path, name: str) -> None:
    unfinished = folder / f".{CURRENT}"
    unfinished.write_text(name)
    os.replace(unfinished, folder / CURRENT)


def current(folder: Path, *, missing: str) -> Path:
    """The folder in service. Raises FoundError with the advice `missing` where there is none."""
    path = folder / CURRENT
    if not path.exists():
        raise FoundError(f"no current model in {folder}: {missing}.")
    return folder / path.read_text().strip()
