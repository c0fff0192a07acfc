"""Reads a text table of an original with Spark: an explicit list of columns, each checked once, by value."""

import codecs
import csv
import itertools
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from feature_repo.contracts.errors import FoundError
from spark_jobs.originals.opened import Original
from spark_jobs.rendering import quoted

_BROKEN = "broken line"


@dataclass(frozen=True)
class Kind:
    """How the text of a value is read: `parse` gives null for what is not `expected`."""

    expected: str
    parse: Callable[[Column], Column]


@dataclass(frozen=True)
class Given:
    """A column that an original must have. A blank value is refused, or null where `blank` allows it."""

    name: str
    kind: Kind = Kind("text", lambda value: value)
    blank: bool = False
    also: tuple[str, ...] = ()
    """Other names of the column."""


def whole(value: Column) -> Column:
    """Spreadsheets write whole numbers as 13085.0 where a column has blanks."""
    return F.regexp_replace(value, r"\.0+$", "").try_cast("bigint")


def number(value: Column) -> Column:
    read = value.try_cast("double")
    return F.when(F.abs(read) < F.lit(float("inf")), read)


WHOLE = Kind("a whole number", whole)
NUMBER = Kind("a number", number)
SECONDS = Kind("seconds since 1970", lambda value: F.timestamp_seconds(whole(value)))


def read_csv(original: Original, path: Path, columns: Sequence[Given]) -> DataFrame:
    """The columns by name and kind, of a file with a header in its first line, or its second below column letters.

    Names match whatever their case, spaces, dots and underscores; `,` or `;` separates. Raises FoundError for a missing
    column, a line of another length, a blank value and a value of another kind.
    """
    encoding = _encoding(path)
    lines = _first_lines(path, encoding)
    if not lines:
        raise FoundError(f"{path.name} must begin with a header, found an empty file. Download it again.")
    separator = max(",;", key=lines[0].count)
    headers = list(csv.reader(lines, delimiter=separator))
    at = next((i for i, header in enumerate(headers) if not _missing(header, columns)), None)
    if at is None:
        raise FoundError(
            f"{path.name} must have the columns {_missing(headers[0], columns)}, found {headers[0]}. "
            "Give the original as its source publishes it; other columns may stay."
        )
    if at:
        path = _without_first_line(original, path)
    positions = {_plain(name): i for i, name in reversed(list(enumerate(headers[at])))}
    chosen = {c.name: next(positions[n] for n in _names(c) if n in positions) for c in columns}
    raw = _strings(original, path, len(headers[at]), encoding, header="true", sep=separator, quote='"', escape='"')
    return _checked(raw, path.name, columns, chosen, len(headers[at]))


def read_lines(original: Original, path: Path, columns: Sequence[Given]) -> DataFrame:
    """The columns in their order, of a file without a header whose fields `::` separates. Raises as `read_csv`."""
    raw = _strings(original, path, len(columns), _encoding(path), header="false", sep="::", quote="")
    return _checked(raw, path.name, columns, {c.name: i for i, c in enumerate(columns)}, len(columns))


def _strings(original: Original, path: Path, width: int, encoding: str, **options: str) -> DataFrame:
    fields = [T.StructField(f"c{i}", T.StringType()) for i in range(width)]
    reader = original.spark.read.options(encoding=encoding, columnPruning="false", **options)
    reader = reader.option("columnNameOfCorruptRecord", _BROKEN)
    return reader.schema(T.StructType([*fields, T.StructField(_BROKEN, T.StringType())])).csv(str(path))


def _checked(raw: DataFrame, file: str, columns: Sequence[Given], chosen: Mapping[str, int], width: int) -> DataFrame:
    texts = {c.name: F.nullif(F.trim(F.col(f"c{chosen[c.name]}")), F.lit("")) for c in columns}
    values = {c.name: c.kind.parse(texts[c.name]) for c in columns}
    faults = [_fault(c, texts[c.name], values[c.name]).alias(c.name) for c in columns]
    found = raw.agg(F.min(quoted(_BROKEN)).alias(_BROKEN), *faults).head()
    assert found is not None
    if found[_BROKEN] is not None:
        raise FoundError(
            f"{file}: expected {width} fields in every line, found {found[_BROKEN]!r}. Download or convert it again."
        )
    for column in columns:
        if (value := found[column.name]) is not None:
            shown = repr(value) if value else "a blank value"
            raise FoundError(
                f"{file}: column {column.name!r} must be {column.kind.expected}, found {shown}. "
                "Give the original as its source publishes it."
            )
    return raw.select(*[values[c.name].alias(c.name) for c in columns])


def _fault(column: Given, text: Column, value: Column) -> Column:
    """The smallest text that is not of the column's kind; '' for a blank one that must not be."""
    wrong = F.when(text.isNotNull() & value.isNull(), text)
    return F.min(wrong if column.blank else F.when(text.isNull(), F.lit("")).otherwise(wrong))


def _encoding(path: Path) -> str:
    """UTF-8 where the whole file is; what Excel wrote in western Europe otherwise."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "ISO-8859-1"
    return "UTF-8"


def _first_lines(path: Path, encoding: str) -> list[str]:
    with path.open(encoding="utf-8-sig" if encoding == "UTF-8" else encoding, newline=None) as file:
        return list(itertools.islice(file, 2))


def _without_first_line(original: Original, path: Path) -> Path:
    shorter = original.scratch / "shorter" / path.name
    shorter.parent.mkdir(exist_ok=True)
    with path.open("rb") as file, shorter.open("wb") as target:
        file.readline()
        shutil.copyfileobj(file, target, 1 << 20)
    return shorter


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _names(column: Given) -> list[str]:
    return [_plain(name) for name in (column.name, *column.also)]


def _missing(header: Sequence[str], columns: Sequence[Given]) -> list[str]:
    there = {_plain(name) for name in header}
    return [c.name for c in columns if there.isdisjoint(_names(c))]
