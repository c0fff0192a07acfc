"""An audience as one file: CSV, Parquet or JSON lines by its ending, whole or not at all, the same bytes for the same
users."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError

SCHEMA = pa.schema(
    [("rank", pa.int64()), ("user_id", pa.string()), ("score", pa.float64()), ("probability", pa.float64())]
)
ROWS = 1 << 16
"""Rows written at once, and a Parquet file's row group."""


class _Writer(Protocol):
    def write_batch(self, batch: pa.RecordBatch) -> Any: ...

    def close(self) -> Any: ...


class _JsonLines:
    """One object a line, its keys in the order of the schema."""

    def __init__(self, path: str, _: pa.Schema) -> None:
        self._file = open(path, "w", encoding="utf-8", newline="\n")

    def write_batch(self, batch: pa.RecordBatch) -> None:
        self._file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in batch.to_pylist())

    def close(self) -> None:
        self._file.close()


_WRITERS: dict[str, Callable[[str, pa.Schema], _Writer]] = {
    ".csv": pc.CSVWriter,
    ".parquet": pq.ParquetWriter,
    ".jsonl": _JsonLines,
}


def refuse_unwritable(path: Path) -> None:
    """Raises FoundError where no audience can be written to this path."""
    if path.suffix not in _WRITERS:
        raise FoundError(f"an audience is written as {', '.join(_WRITERS)}, by the file's ending; found {path.name!r}.")
    if path.is_dir():
        raise FoundError(f"an audience is one file, but {path} is a folder: name a file in it.")


def write_audience(path: Path, batches: Iterator[pa.RecordBatch]) -> int:
    """Writes batches of SCHEMA; returns the number of users. If anything raises, the file stays as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    users = 0
    try:
        writer = _WRITERS[path.suffix](str(draft), SCHEMA)
        try:
            for batch in evenly(batches, ROWS):
                writer.write_batch(batch)
                users += len(batch)
        finally:
            writer.close()
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return users


def evenly(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of `rows`, the last one shorter: how they were split before leaves no trace."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= rows:
            table = pa.Table.from_batches(held).combine_chunks()
            full = len(table) // rows * rows
            yield from table.slice(0, full).to_batches(rows)
            held = table.slice(full).to_batches()
    yield from pa.Table.from_batches(held, SCHEMA).combine_chunks().to_batches()
