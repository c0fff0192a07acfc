"""The files of a lake's table: Parquet alone, and times in nanoseconds as pandas writes them."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from spark_jobs.rendering import quoted

_MAGIC = b"PAR1"


def refuse_other_files(folder: Path, where: str) -> None:
    """Raises FoundError naming a file that Spark would stumble over: one that is no whole Parquet file."""
    for path in _files(folder):
        size = path.stat().st_size
        with path.open("rb") as file:
            first = file.read(len(_MAGIC))
            file.seek(max(0, size - len(_MAGIC)))
            if (first, file.read()) != (_MAGIC, _MAGIC):
                raise FoundError(
                    f"{where} must hold Parquet files alone, but {path.name} ({size} bytes) is none, or is cut off: "
                    "remove it, or write it again."
                )


def with_micros(raw: DataFrame, folder: Path) -> DataFrame:
    """The table with its times in microseconds: nanoseconds, which Spark has no type for, are read as whole numbers
    (`nanosAsLong` of the session)."""
    path = next(_files(folder), None)
    fields = pq.read_schema(path) if path else ()
    nanos = [field for field in fields if pa.types.is_timestamp(field.type) and field.type.unit == "ns"]
    return raw.withColumns({field.name: _micros(field.name, is_utc=bool(field.type.tz)) for field in nanos})


def _micros(name: str, *, is_utc: bool) -> Column:
    instant = F.timestamp_micros(F.floor(F.col(quoted(name)) / 1000).cast("long"))
    return instant if is_utc else instant.cast("timestamp_ntz")


def _files(folder: Path) -> Iterator[Path]:
    """Those that Spark reads: hidden ones and those that begin with _ are none."""
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        if not any(part.startswith((".", "_")) for part in path.relative_to(folder.parent).parts[1:]):
            yield path
