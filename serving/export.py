"""What `found export` asks of Spark: the sentence as every question is read, and who is within its filters and rules.

What the sentence says beyond what will happen, the filters for every audience and the user lists are applied to the
day's tables here, and Spark scores the users that are left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.contracts.names import JOIN_KEY
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import TEMPLATE_VERSION
from feature_repo.embedding_days import Day, chosen_day
from serving.eligibility import Eligibility, Limits
from serving.facts import Column, lake_columns
from serving.filters import Condition as FilterCondition
from serving.found_model import load_found_model
from serving.opening import open_eligibility, open_reader
from serving.question import Asked, Question
from serving.reading import Reading
from serving.rows import Publication
from serving.texts import read_texts
from serving.within import users_within


@dataclass(frozen=True)
class Order:
    """A day, the sentences to score its users by, and those who may be in the audience; None is everybody."""

    ds: date
    sentences: tuple[Asked, ...]
    among: tuple[str, ...] | None = None
    told: tuple[str, ...] = ()
    """How the sentence was read, in lines for people."""


def read_order(settings: Settings, question: Question, ds: date | None, *, as_written: bool = False) -> Order:
    """The order of a question about a day's users, by default those that the index answers by. `as_written`: no word of
    the sentence becomes a filter or a rule.

    Raises a ServingError for what no question can ask.
    """
    day = chosen_day(settings.work, ds)
    eligibility = open_eligibility(settings, _publication(settings, day))
    reading = Reading((Asked(question.demand),)) if as_written else _read(settings, day, eligibility, question)
    filters = (*question.filters, *reading.filters)
    limits = eligibility.limits(filters, reading.rules, without=question.exclude_users)
    among = None if limits == Limits() else tuple(users_within(settings.work, day.ds, limits, _columns(settings, day)))
    told = _told(reading, (*filters, *eligibility.default), among)
    return Order(day.ds, reading.asked, among, tuple(told))


def write_users(users: Sequence[str], path: Path) -> None:
    """As the Spark job reads them."""
    pq.write_table(pa.table({JOIN_KEY: pa.array(users, pa.string())}), path)


def _publication(settings: Settings, day: Day) -> Publication:
    """The day as an index of it would be."""
    columns = _columns(settings, day)
    return Publication("", 0, day.model_version, TEMPLATE_VERSION, ds=day.ds.isoformat(), columns=columns)


def _columns(settings: Settings, day: Day) -> tuple[Column, ...]:
    return lake_columns(settings.work, day.ds, denied=settings.names("denied_fields"))


def _read(settings: Settings, day: Day, eligibility: Eligibility, question: Question) -> Reading:
    model = load_found_model(day.model_folder(settings.work))
    vectors = model.text_vectors(settings.work.text_cache)
    texts = read_texts(settings.work, day.ds)
    return open_reader(settings, model, eligibility.filters, texts, vectors).read(question)


def _said(place: int, asked: Asked) -> str:
    return f"{asked.joined} " * bool(place) + "not " * asked.negated + repr(asked.text)


def _told(reading: Reading, filters: Sequence[FilterCondition], among: Sequence[str] | None) -> list[str]:
    told = [f"scored by: {' '.join(_said(place, each) for place, each in enumerate(reading.asked))}"]
    told += [f"  read as: {said}" for said in reading.said()]
    limits = [*map(str, filters), *(" or ".join(rule.name for rule in group.rules) for group in reading.rules)]
    told += [f"  within: {limit}" for limit in limits]
    told += [f"  not understood: {reading.rest}"] if reading.rest else []
    told += [f"  note: {warning}" for warning in reading.warnings]
    return [*told, f"  {len(among)} users are within these limits"] if among is not None else told
