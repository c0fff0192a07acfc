"""Texts of originals as a lake tells them."""

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F


def titled(text: Column) -> Column:
    """Each run of letters gets a capital, runs of spaces are one: "SET OF4  50'S MUGS " is "Set Of4 50'S Mugs"."""
    spaced = F.trim(F.regexp_replace(F.lower(text), r"\s+", " "))
    runs = F.split(spaced, r"(?<=[^\p{L}])(?=\p{L})")
    return F.array_join(F.transform(runs, _capital), "")


def _capital(run: Column) -> Column:
    return F.concat(F.upper(F.substring(run, 1, 1)), F.substring(run, 2, 1 << 30))


def named(code: Column, names: Mapping[int, str] | Mapping[str, str], other: str | None = None) -> Column:
    """The name of a code; `other` for any that has none."""
    chosen = F.lit(other)
    for value, name in names.items():
        chosen = F.when(code == F.lit(value), F.lit(name)).otherwise(chosen)
    return chosen


def coded(value: Column, kind: str) -> Column:
    """A number as the text of an id."""
    return F.concat(F.lit(f"{kind} "), value.cast("string"))
