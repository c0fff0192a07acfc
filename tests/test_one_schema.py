"""One contract, five renderings: each input column has one type in the contract, Spark, Arrow, Feast and the model."""

import numpy as np
import pyarrow as pa
import pytest
from feast.type_map import feast_value_type_to_pa
from pyspark.sql.pandas.types import to_arrow_type

from feature_repo.contracts.inputs import Column, Lengths, activity_columns, history_columns, search_columns
from feature_repo.definitions import contract_fields
from model.batch import nobody
from spark_jobs.schemas import column_type

LENGTHS = Lengths(events=5, searches=3, future=4)
COLUMNS = (*history_columns(LENGTHS), *search_columns(LENGTHS), *activity_columns())


def expected(column: Column) -> pa.DataType:
    element = pa.from_numpy_dtype(np.dtype(column.kind))
    return element if column.length is None else pa.list_(element)


def same(left: pa.DataType, right: pa.DataType) -> bool:
    if pa.types.is_list(left) and pa.types.is_list(right):
        return bool(left.value_type == right.value_type)
    return bool(left == right)


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: c.name)
def test_a_column_has_one_type_everywhere(column):
    (field,) = contract_fields([column])

    assert same(to_arrow_type(column_type(column)), expected(column))
    assert field.name == column.name
    assert same(feast_value_type_to_pa(field.dtype.to_value_type()), expected(column))


def test_the_model_s_columns_have_the_contract_s_kinds_and_lengths():
    profile = (Column("profile_categories", "int64", 2), Column("profile_numbers", "float32", 1))

    found = nobody((*COLUMNS, *profile))

    assert {n: (v.dtype.name, v.shape[1:]) for n, v in found.items()} == {
        c.name: (c.kind, () if c.length is None else (c.length,)) for c in (*COLUMNS, *profile)
    }
