"""Which files hold a user's id: in their bytes, and in what Parquet, SQLite and gzip keep in other bytes."""

import gzip
import mmap
import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serving.erasure.person import Person

USER, USER_KEY = "user_id", "user_key"
_PARQUET, _SQLITE, _GZIP = b"PAR1", b"SQLite format 3\x00", b"\x1f\x8b"
_PIECE = 1 << 22


def files_below(root: Path, *, without: Collection[Path] = ()) -> Iterator[Path]:
    """The files of a folder in order, links not followed, without these paths and what is below them."""
    left_out = {path.absolute() for path in without}
    for folder, folders, names in os.walk(root.absolute()):
        folders[:] = sorted(name for name in folders if Path(folder, name) not in left_out)
        for path in (Path(folder, name) for name in sorted(names)):
            if path not in left_out and not path.is_symlink() and path.is_file():
                yield path


def holding(person: Person, root: Path, *, without: Collection[Path] = ()) -> list[Path]:
    """The files below a folder that hold the user."""
    return [path for path in files_below(root, without=without) if holds(person, path)]


def holds(person: Person, path: Path) -> bool:
    """Does the file hold the user? A file that vanishes meanwhile does not."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
        if start.startswith(_PARQUET) and _in_parquet(person, path):
            return True
        if start.startswith(_SQLITE) and _in_sqlite(person, path):
            return True
        if start.startswith(_GZIP) and _in_gzip(person, path):
            return True
        return _in_bytes(person, path)
    except FileNotFoundError:
        return False


def is_parquet(path: Path) -> bool:
    """Is it a whole Parquet file?"""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        starts = file.read(4) == _PARQUET
        file.seek(max(0, size - 4))
        return size >= 12 and starts and file.read(4) == _PARQUET


def _in_bytes(person: Person, path: Path) -> bool:
    if not person.is_findable or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return person.pattern.search(mapped) is not None


def _in_parquet(person: Person, path: Path) -> bool:
    if not is_parquet(path):
        return False
    with pq.ParquetFile(path) as file:
        names = [field.name for field in file.schema_arrow if _may_hold(field)]
        groups = range(file.num_row_groups) if names else ()
        return any(_in_column(person, table[name], name) for g in groups for table, name in _columns(file, g, names))


def _columns(file: pq.ParquetFile, group: int, names: list[str]) -> Iterator[tuple[pa.Table, str]]:
    """One column of a row group at a time."""
    for name in names:
        yield file.read_row_group(group, columns=[name]), name


def _may_hold(field: pa.Field) -> bool:
    return field.name == USER_KEY or _is_text(_leaf(field.type))


def _leaf(kind: pa.DataType) -> pa.DataType:
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_dictionary(kind):
        kind = kind.value_type
    return kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_struct(kind)
    )


def _in_column(person: Person, column: pa.ChunkedArray, name: str) -> bool:
    if name == USER_KEY:
        return bool(pc.any(pc.equal(column, person.key)).as_py())
    while pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.list_flatten(column)
    if pa.types.is_struct(column.type):
        return any(_in_column(person, part, "") for part in column.combine_chunks().flatten())
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not _is_text(column.type):
        return False
    wanted = person.user_id.encode() if pa.types.is_binary(column.type) else person.user_id
    near = pc.filter(column, pc.fill_null(pc.match_substring(column, wanted), False))
    values = pc.unique(near).to_pylist()
    return any(person.in_bytes(v) if isinstance(v, bytes) else person.in_text(v) for v in values)


def _in_sqlite(person: Person, path: Path) -> bool:
    """Every value of every table; a file that SQLite cannot read is searched as bytes alone."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as database:
            database.text_factory = bytes
            tables = [
                row[0].decode() for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            rows = (row for table in tables for row in database.execute(f'SELECT * FROM "{table}"'))
            return any(_is_own(person, value) for row in rows for value in row if isinstance(value, bytes))
    except sqlite3.DatabaseError:
        return False


def _is_own(person: Person, value: bytes) -> bool:
    return value == person.user_id.encode() or person.in_bytes(value)


def _in_gzip(person: Person, path: Path) -> bool:
    """Piece by piece, each with the end of the one before."""
    before, kept = b"", 4 * len(person.user_id.encode()) + 2
    try:
        with gzip.open(path) as file:
            while piece := file.read(_PIECE):
                if person.in_bytes(before + piece):
                    return True
                before = piece[-kept:]
    except (OSError, EOFError):
        return False
    return False
