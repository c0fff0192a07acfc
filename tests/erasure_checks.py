"""Whether anything holds an id, found out by other means than those of the project: bytes, Parquet, SQLite."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq


def mentions(root: Path, told: str) -> list[str]:
    """The files below a folder that hold this text as bytes, or once they are decoded."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return [
        str(path.relative_to(root)) for path in files if told.encode() in path.read_bytes() or told in decoded(path)
    ]


def decoded(path: Path) -> str:
    start = path.read_bytes()[:16]
    if start.startswith(b"PAR1"):
        with pq.ParquetFile(path) as file:
            return str(file.read().to_pydict()) + str(file.metadata.to_dict())
    if start.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(path)) as database:
            database.text_factory = lambda value: value.decode(errors="replace")
            return "\n".join(str(row) for row in rows_of(database))
    return ""


def rows_of(database: sqlite3.Connection) -> list[tuple[object, ...]]:
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [row for table in tables for row in database.execute(f'SELECT * FROM "{table}"')]
