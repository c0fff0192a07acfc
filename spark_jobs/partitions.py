"""Outputs appear whole or not at all, and with the same bytes when they are made again.

A published path is a symbolic link to one of two hidden siblings, `.runs/NAME.a` or `.runs/NAME.b`. A run
fills the one that is not linked and then swaps the link, which is atomic. Whatever a killed run left behind
lies in the unlinked sibling, and the next run of the same path removes it first.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from spark_jobs.parquet_footer import canonical

RUNS = ".runs"


def publish(path: Path, write: Callable[[Path], None]) -> None:
    """`path` shows what `write` put into the folder that it is given. If it raises, `path` stays as it was."""
    publish_all([path], lambda folders: write(folders[path]))


def publish_all(paths: Iterable[Path], write: Callable[[dict[Path, Path]], None]) -> None:
    """Several paths are written first and swapped last, one after the other."""
    fresh = {path: _fresh(path) for path in paths}
    try:
        write(fresh)
    except BaseException:
        for folder in fresh.values():
            _remove(folder)
        raise
    for path, folder in fresh.items():
        _swap(path, folder)
        _remove(_sibling(path, folder))


def _fresh(path: Path) -> Path:
    """The empty hidden sibling that the link does not show."""
    if path.exists() and not path.is_symlink():
        raise FoundError(f"{path} exists and was not published by FOUND: remove it, or choose another output.")
    runs = path.parent / RUNS
    first = runs / f"{path.name}.a"
    shown = path.is_symlink() and os.readlink(path) == f"{RUNS}/{first.name}"
    folder = _sibling(path, first) if shown else first
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


def write_files(frame: DataFrame, folder: Path) -> None:
    """The rows as `folder/part-00000.parquet` ..., one file per non-empty partition of the frame, in its order."""
    _written(frame, folder, (), 1 << 27)


def write_by(frame: DataFrame, root: Path, column: str, *, row_group_bytes: int = 1 << 27) -> None:
    """The rows as `root/COLUMN=VALUE/part-*.parquet`; the column itself is only in the folder's name."""
    _written(frame, root, (column,), row_group_bytes)


def _written(frame: DataFrame, folder: Path, columns: tuple[str, ...], row_group_bytes: int) -> None:
    """Spark names its files by a random id: they are renamed in the order of its partitions
    and their footers made canonical."""
    raw = folder.with_name(f".{folder.name}.spark")
    _remove(raw)
    writer = frame.write.option("compression", "snappy").option("parquet.block.size", row_group_bytes)
    writer.partitionBy(*columns).parquet(str(raw))
    groups = sorted(raw.glob(f"{columns[0]}=*")) if columns else [raw]
    for group in groups:
        target = folder / group.name if columns else folder
        target.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(sorted(group.glob("part-*.parquet"))):
            canonical(file)
            os.replace(file, target / f"part-{number:05d}.parquet")
    _remove(raw)


def write_json(path: Path, document: object) -> None:
    """Atomic, keys in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    os.replace(draft, path)


def laid_out(frame: DataFrame, column: str, *, key: str, files: int, partitions: int) -> DataFrame:
    """For `write_by`: the rows of each value of `column` in at most `files` files, each sorted by `key`.

    Which row lies in which file depends on the row alone, so the same rows give the same bytes.
    """
    bucket = F.pmod(F.hash(key), F.lit(files))
    return frame.repartition(partitions, column, bucket).sortWithinPartitions(column, key)
