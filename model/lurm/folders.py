"""Folders of one version each: written whole or not at all, and never twice."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from feature_repo.contracts.errors import FoundError


def write_once(target: Path, write: Callable[[Path], None]) -> Path:
    """`target` holds what `write` put into the folder that it is given; a target that exists stays as it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
    try:
        write(draft)
        draft.chmod(0o755)
        if not target.exists():
            os.replace(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def refuse_other_tensors(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], where: Path) -> None:
    """Raises FoundError naming each missing, unknown or reshaped tensor."""
    wrong = [f"missing {name}" for name in sorted(expected.keys() - found.keys())]
    wrong += [f"unknown {name}" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        if expected[name].shape != found[name].shape:
            wrong.append(f"{name} has shape {list(found[name].shape)} instead of {list(expected[name].shape)}")
    if wrong:
        raise FoundError(f"{where} does not fit its config: {'; '.join(wrong[:5])}. Train the encoder again.")
