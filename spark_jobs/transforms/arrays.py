"""Arrays of one fixed length, as the contract wants them, and short ones, as they travel through a shuffle."""

from collections.abc import Iterable, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from feature_repo.contracts.inputs import Column as InputColumn
from spark_jobs.rendering import quoted
from spark_jobs.schemas import COLUMN_TYPES, column_type


def fixed_length(frame: DataFrame, columns: Iterable[InputColumn]) -> DataFrame:
    """The frame with its arrays cut or padded with 0 to the columns' lengths, and typed as the columns."""
    by_name = {c.name: c for c in columns}
    return frame.select(*(_fixed(by_name[n]) if n in by_name else F.col(quoted(n)) for n in frame.columns))


def _fixed(column: InputColumn) -> Column:
    value = F.col(column.name)
    if column.length is not None:
        zero = F.lit(0).cast(COLUMN_TYPES[column.kind])
        value = F.slice(F.concat(value, F.array_repeat(zero, column.length)), 1, column.length)
    return value.cast(column_type(column)).alias(column.name)


def shortened(frame: DataFrame, columns: Sequence[InputColumn]) -> DataFrame:
    """The frame without the padding of its arrays; `fixed_length` brings it back."""
    lengths = {c.name for c in columns if c.name.endswith("_length")}
    arrays = {c.name for c in columns if c.length is not None}

    def short(name: str) -> Column:
        length = name.rsplit("_", 1)[0] + "_length"
        if name not in arrays or length not in lengths:
            return F.col(quoted(name))
        return F.slice(F.col(name), F.lit(1), F.col(length)).alias(name)

    return frame.select(*map(short, frame.columns))
