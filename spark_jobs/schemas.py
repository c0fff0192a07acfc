"""The contract as Spark types."""

from collections.abc import Iterable

from pyspark.sql import types as T

from feature_repo.contracts.events import Field, Kind
from feature_repo.contracts.inputs import Column, ColumnKind

EVENT_TYPES: dict[Kind, T.DataType] = {
    "string": T.StringType(),
    "double": T.DoubleType(),
    "timestamp": T.TimestampType(),
}
COLUMN_TYPES: dict[ColumnKind, T.DataType] = {
    "int64": T.LongType(),
    "int32": T.IntegerType(),
    "float32": T.FloatType(),
}


def event_schema(fields: Iterable[Field]) -> T.StructType:
    """A lake table's fixed columns."""
    return T.StructType([T.StructField(f.name, EVENT_TYPES[f.kind]) for f in fields])


def column_type(column: Column) -> T.DataType:
    element = COLUMN_TYPES[column.kind]
    return element if column.length is None else T.ArrayType(element)


def input_schema(columns: Iterable[Column]) -> T.StructType:
    """Columns of a feature table or of the training pairs."""
    return T.StructType([T.StructField(c.name, column_type(c)) for c in columns])
