"""The texts that nobody but one user produced: they are as much that user's as the rows are.

A text may be a search with a name in it. One that others have too stays: it says nothing about who was erased. Others'
texts are those that tables name; one that a list or a cache loses too much is put there again by the next run.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from feature_repo.contracts.templates import NOTHING, text_key
from serving.erasure.person import Person
from serving.erasure.search import USER, USER_KEY
from serving.erasure.tables import Drop

Keys = NDArray[np.int64]
_ALWAYS = (0, text_key(NOTHING))
"""Padding, and what every dataset of pairs has."""
_LISTS = ("text_keys", "profile_categories")


def only_of(person: Person, tables: Iterable[Path], *, known: Iterable[int] = ()) -> Keys:
    """The keys of the texts in the user's rows, and of `known` ones, that are in no other row of these tables."""
    every, own = list(tables), Drop(person)
    keys, strings = _told(_rows(every, own, are_own=True))
    also = np.array(sorted(known), np.int64)
    candidates = np.setdiff1d(np.concatenate([keys, _keys_of(strings), also]), _ALWAYS)
    for rows in _rows(every, own, are_own=False) if len(candidates) else ():
        shared, same = _shared(rows, candidates, strings)
        candidates = np.setdiff1d(candidates, np.union1d(shared, _keys_of(same)))
        if not len(candidates):
            break
    return candidates


def _rows(tables: Iterable[Path], own: Drop, *, are_own: bool) -> Iterator[pa.Table]:
    """The user's rows, or those of all others, a row group at a time: the columns that name texts."""
    for path in tables:
        with pq.ParquetFile(path) as file:
            named, users = _text_columns(file.schema_arrow), own.columns(file.schema_arrow)
            for group in range(file.num_row_groups) if named and users else ():
                flags = own.gone(file.read_row_group(group, columns=users))
                wanted = flags if are_own else pc.invert(flags)
                if pc.any(wanted).as_py():
                    yield file.read_row_group(group, columns=named).filter(wanted)


def _text_columns(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if _is_keys(field) or (_is_string(field) and field.name != USER)]


def _is_keys(field: pa.Field) -> bool:
    named = field.name == "text_key" or field.name in _LISTS or field.name.endswith("_text")
    inner = field.type.value_type if pa.types.is_list(field.type) else field.type
    return named and field.name != USER_KEY and bool(pa.types.is_int64(inner))


def _is_string(field: pa.Field) -> bool:
    """A category of a profile is a text by its own value."""
    return bool(pa.types.is_string(field.type))


def _told(parts: Iterable[pa.Table]) -> tuple[Keys, set[str]]:
    keys, strings = np.zeros(0, np.int64), set[str]()
    for table in parts:
        keys = np.union1d(keys, _keys_in(table))
        strings |= {value for column in _strings(table) for value in pc.unique(column).to_pylist() if value}
    return keys, strings


def _shared(table: pa.Table, candidates: Keys, strings: set[str]) -> tuple[Keys, set[str]]:
    """Which of these keys, and of these strings, the rows have."""
    wanted = pa.array(sorted(strings), pa.string())
    same = {v for c in _strings(table) for v in pc.unique(c.filter(pc.is_in(c, wanted))).to_pylist() if v}
    return np.intersect1d(candidates, _keys_in(table)), same


def _keys_in(table: pa.Table) -> Keys:
    found = [np.zeros(0, np.int64)]
    for field in table.schema:
        if _is_keys(field):
            column = table[field.name]
            flat = pc.list_flatten(column) if pa.types.is_list(field.type) else column
            found.append(pc.unique(flat.drop_null()).to_numpy())
    return np.unique(np.concatenate(found))


def _strings(table: pa.Table) -> list[pa.ChunkedArray]:
    return [table[field.name] for field in table.schema if _is_string(field)]


def _keys_of(strings: Iterable[str]) -> Keys:
    return np.array(sorted(text_key(text) for text in strings), np.int64)
