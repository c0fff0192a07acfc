"""Seeds from an uploaded CSV or Parquet file: ids, and which of them are positive where it says so."""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from serving.audiences.errors import InvalidSeedFile
from serving.messages import MOST_SEEDS

MOST_BYTES = 8 << 20
LONGEST_ID = 256
USER_ID, LABEL = "user_id", "label"
_YES, _NO = {"1", "1.0", "true", "yes", "positive"}, {"0", "0.0", "false", "no", "negative", "-1"}
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class SeedFile:
    """What a file holds; `empty` rows have no id, `duplicates` repeat one, `left_out` seeds were too many."""

    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    rows: int
    empty: int
    duplicates: int
    left_out: int


def read_seed_file(content: bytes, *, column: str = USER_ID) -> SeedFile:
    """Parquet by its first bytes, else CSV in UTF-8. Raises InvalidSeedFile telling what it holds instead.

    Of more than MOST_SEEDS a side those of the smallest hash are kept: a sample that is the same every time.
    """
    rows = _parquet(content, column) if content[:4] == b"PAR1" else _csv(content, column)
    ids: dict[str, bool] = {}
    total = empty = duplicates = 0
    for user, label in rows:
        total += 1
        if not user:
            empty += 1
            continue
        if len(user) > LONGEST_ID:
            raise InvalidSeedFile(f"a user id has at most {LONGEST_ID} characters, row {total} has one of {len(user)}.")
        if ids.get(user, label) != label:
            raise InvalidSeedFile(f"row {total} labels the user {user!r} the other way than a row before.")
        duplicates += user in ids
        ids[user] = label
    if not ids:
        raise InvalidSeedFile(f"the file has {total} rows, but no user id.")
    positives, negatives = ([u for u, label in ids.items() if label is side] for side in (True, False))
    kept = _sampled(positives), _sampled(negatives)
    return SeedFile(*kept, total, empty, duplicates, len(ids) - len(kept[0]) - len(kept[1]))


def _sampled(users: Sequence[str]) -> tuple[str, ...]:
    if len(users) <= MOST_SEEDS:
        return tuple(users)
    smallest = set(sorted(users, key=lambda user: hashlib.sha256(user.encode()).digest())[:MOST_SEEDS])
    return tuple(user for user in users if user in smallest)


def _csv(content: bytes, column: str) -> Iterable[tuple[str, bool]]:
    """With a header that names the column; one column of ids needs none."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidSeedFile(f"the file is neither Parquet nor text in UTF-8: {error.reason}.") from error
    lines = text.splitlines()
    if not lines:
        raise InvalidSeedFile("the file is empty.")
    delimiter = max(_DELIMITERS, key=lambda sign: (lines[0].count(sign), sign == ","))
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error as error:
        raise InvalidSeedFile(f"the file cannot be read as CSV: {error}.") from error
    names = [name.strip().lower() for name in rows[0]] if rows else []
    if names and column.lower() not in names and all(len(row) == 1 for row in rows) and column == USER_ID:
        return ((row[0].strip(), True) for row in rows)
    at, label_at = _places(names, column)
    return ((_cell(row, at), _label(_cell(row, label_at)) if label_at is not None else True) for row in rows[1:])


def _cell(row: Sequence[str], at: int) -> str:
    return row[at].strip() if at < len(row) else ""


def _parquet(content: bytes, column: str) -> Iterable[tuple[str, bool]]:
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            names = file.schema_arrow.names
            at, label_at = _places([name.lower() for name in names], column)
            wanted = [names[at]] + ([names[label_at]] if label_at is not None else [])
            table = file.read(columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise InvalidSeedFile(f"the file cannot be read as Parquet: {str(error).splitlines()[0]}.") from error
    ids = [_text(value) for value in table[names[at]].to_pylist()]
    labels = table[names[label_at]].to_pylist() if label_at is not None else [True] * len(ids)
    return ((user, _label(_text(label))) for user, label in zip(ids, labels, strict=True))


def _places(names: Sequence[str], column: str) -> tuple[int, int | None]:
    if column.lower() not in names:
        shown = ", ".join(map(repr, names[:10])) or "none"
        raise InvalidSeedFile(f"the file has no column {column!r}; it has {shown}.")
    return names.index(column.lower()), names.index(LABEL) if LABEL in names else None


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _label(told: str) -> bool:
    if told.lower() in _YES:
        return True
    if told.lower() in _NO:
        return False
    raise InvalidSeedFile(f"a label is 1 (does it) or 0 (does not), found {told!r}.")
