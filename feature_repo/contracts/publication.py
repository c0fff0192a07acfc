"""Outputs appear whole or not at all.

A published path is a symbolic link to one of two hidden siblings, `.runs/NAME.a` or `.runs/NAME.b`. A run
fills the one that is not linked and then swaps the link, which is atomic. Whatever a killed run left behind
lies in the unlinked sibling, and the next run of the same path removes it first. Two runs of one path take turns.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.turns import turn

RUNS = ".runs"


def publish(path: Path, write: Callable[[Path], None]) -> None:
    """`path` shows what `write` put into the folder that it is given. If it raises, `path` stays as it was."""
    publish_all([path], lambda folders: write(folders[path]))


def publish_all(paths: Iterable[Path], write: Callable[[dict[Path, Path]], None]) -> None:
    """Several paths are written first and swapped last, one after the other."""
    given = list(paths)
    with ExitStack() as turns:
        for path in sorted(given):  # in one order: two runs never wait for each other
            turns.enter_context(turn(path.parent / RUNS / f"{path.name}.lock"))
        fresh = {path: _fresh(path) for path in given}
        try:
            write(fresh)
        except BaseException:
            for folder in fresh.values():
                _remove(folder)
            raise
        for path, folder in fresh.items():
            _swap(path, folder)
            _remove(_sibling(path, folder))


def published_by(run: Path) -> Path | None:
    """The path that shows a run's folder `.runs/NAME.a`; None where no path does."""
    path = run.parent.parent / run.name[: -len(".a")]
    return path if run.parent.name == RUNS and _shows(path, run) else None


def _shows(path: Path, run: Path) -> bool:
    return path.is_symlink() and os.readlink(path) == f"{RUNS}/{run.name}"


def _fresh(path: Path) -> Path:
    """The empty hidden sibling that the link does not show."""
    if path.exists() and not path.is_symlink():
        raise FoundError(f"{path} exists and was not published by FOUND: remove it, or choose another output.")
    runs = path.parent / RUNS
    first = runs / f"{path.name}.a"
    folder = _sibling(path, first) if _shows(path, first) else first
    _remove(folder)
    folder.mkdir(parents=True)
    return folder


def _sibling(path: Path, folder: Path) -> Path:
    other = ".b" if folder.name.endswith(".a") else ".a"
    return folder.with_name(path.name + other)


def _swap(path: Path, folder: Path) -> None:
    link = folder.with_name(f"{path.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(f"{RUNS}/{folder.name}")
    os.replace(link, path)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, document: object) -> None:
    """Atomic, keys in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    os.replace(draft, path)
