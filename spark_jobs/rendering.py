"""The Spark interpreter of contracts/templates.py: the same texts, as column expressions."""

from collections.abc import Callable

from pyspark.sql import Column
from pyspark.sql import functions as F

from feature_repo.contracts.templates import (
    AMOUNT_UNITS,
    FIELD_CHARACTERS,
    LEVELS,
    UNPRINTABLE,
    Part,
    Template,
    money,
)


def quoted(column: str) -> str:
    """A column's name that no SQL reads as an expression."""
    return "`" + column.replace("`", "``") + "`"


def clean(value: Column) -> Column:
    """A field as a text shows it; '' where it is null."""
    one_line = F.regexp_replace(F.coalesce(value, F.lit("")), UNPRINTABLE, " ")
    return F.trim(F.substring(one_line, 1, FIELD_CHARACTERS))


def event_text(template: Template, cleaned: Callable[[str], Column]) -> Column:
    """The text of the event in this row, of its fields as `clean` leaves them."""
    return F.concat(*[_part(part, cleaned(part.field)) for part in template.parts])


def _part(part: Part, value: Column) -> Column:
    silent = value.isin("", *part.silent)
    return F.when(silent, "").otherwise(F.concat(F.lit(part.prefix), value, F.lit(part.suffix)))


def text_key(text: Column) -> Column:
    """The id of a text: 60 bits of its MD5 as bigint, null for null."""
    return F.conv(F.substring(F.md5(text.cast("binary")), 1, 15), 16, 10).cast("bigint")


def units(amount: Column) -> Column:
    """An amount in whole 1/AMOUNT_UNITS: sums of these are exact, whatever their order."""
    return F.rint(amount * F.lit(float(AMOUNT_UNITS))).cast("bigint")


def exceeds(spent_units: Column, step: int) -> Column:
    return spent_units >= F.lit(step * AMOUNT_UNITS)


def level_text(spent_units: Column, currency: str) -> Column:
    """The largest 1-2-5 step at or below the sum, with its currency; '' below the smallest."""
    steps = [F.when(exceeds(spent_units, step), money(step, currency)) for step in reversed(LEVELS)]
    return F.coalesce(*steps, F.lit(""))


def filled(template: str, values: dict[str, Column]) -> Column:
    """`template.format(**values)` for a template with one {placeholder}."""
    (name, value), *_ = values.items()
    before, after = template.split("{" + name + "}")
    return F.concat(F.lit(before), value, F.lit(after))
