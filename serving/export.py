"""What `found export` asks of Spark: the sentence as every question is read, and who is within its filters and rules.

What the sentence says beyond what will happen, the filters for every audience and the user lists are applied to the
day's tables here, and Spark scores the users that are left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
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
from serving.reading import Reader, Reading
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
    return Orders(settings, chosen_day(settings.work, ds)).read(question, as_written=as_written)


@dataclass(frozen=True)
class Orders:
    """Of one day; its model is loaded when the first sentence is read."""

    settings: Settings
    day: Day

    def read(self, question: Question, *, as_written: bool = False) -> Order:
        """See `read_order`."""
        reading = Reading((Asked(question.demand),)) if as_written else self._reader.read(question)
        filters = (*question.filters, *reading.filters)
        limits = self._eligibility.limits(filters, reading.rules, without=question.exclude_users)
        among = None if limits == Limits() else self._within(limits)
        told = _told(reading, (*filters, *self._eligibility.default), among)
        return Order(self.day.ds, reading.asked, among, tuple(told))

    def _within(self, limits: Limits) -> tuple[str, ...]:
        return tuple(users_within(self.settings.work, self.day.ds, limits, self._columns))

    @cached_property
    def _columns(self) -> tuple[Column, ...]:
        return lake_columns(self.settings.work, self.day.ds, denied=self.settings.names("denied_fields"))

    @cached_property
    def _eligibility(self) -> Eligibility:
        """As an index of the day would have it."""
        ds, version = self.day.ds.isoformat(), self.day.model_version
        return open_eligibility(
            self.settings, Publication("", 0, version, TEMPLATE_VERSION, ds=ds, columns=self._columns)
        )

    @cached_property
    def _reader(self) -> Reader:
        work = self.settings.work
        model = load_found_model(self.day.model_folder(work))
        vectors = model.text_vectors(work.text_cache)
        return open_reader(self.settings, model, self._eligibility.filters, read_texts(work, self.day.ds), vectors)


def write_users(users: Sequence[str], path: Path) -> None:
    """As the Spark job reads them."""
    pq.write_table(pa.table({JOIN_KEY: pa.array(users, pa.string())}), path)


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
