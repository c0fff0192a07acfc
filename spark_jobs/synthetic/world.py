"""What a synthetic world is made of. Topics and life events are data; `stories.py` lets people live them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

START = datetime(2023, 3, 1, tzinfo=UTC)
ENDS = datetime(2024, 8, 1, tzinfo=UTC)
"""The first instant that is not observed. Two summers and one December lie before it."""
DAYS = (ENDS - START).days

ALL_YEAR = tuple(range(1, 13))


@dataclass(frozen=True)
class Good:
    """Something people search for, look at and buy; `price` is a typical one in EUR."""

    name: str
    price: float


@dataclass(frozen=True)
class Topic:
    """A habit: those who have it buy every `period_days` or so, in `months` (elsewhere rarely).

    `liked_by` multiplies the chance to have it by a factor for each trait of the person.
    """

    name: str
    category: str
    merchants: tuple[str, ...]
    app: str
    styles: tuple[str, ...]
    goods: tuple[Good, ...]
    period_days: float
    months: tuple[int, ...] = ALL_YEAR
    search_share: float = 0.6
    liked_by: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """Days after the start of a life event, about how many episodes they hold, and how many of those end in a
    purchase. `questions` are searched for, `reading` is visited, before there is anything to buy."""

    first_day: int
    last_day: int
    episodes: float
    buy_share: float
    goods: tuple[Good, ...]
    questions: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()


@dataclass(frozen=True)
class LifeEvent:
    """Something that changes what a person wants for weeks: curiosity, then preparation, then life with it.

    `chance` is the share of all people whom it meets within the lake's span, before `liked_by`.
    `household` is what their profile says afterwards, if it changes.
    """

    name: str
    category: str
    merchants: tuple[str, ...]
    app: str
    styles: tuple[str, ...]
    chance: float
    stages: tuple[Stage, ...]
    liked_by: Mapping[str, float] = field(default_factory=dict)
    household: str = ""

    @property
    def days(self) -> int:
        return max(stage.last_day for stage in self.stages)


def goods(**prices: float) -> tuple[Good, ...]:
    """`goods(bread_rolls=2)` is (Good("bread rolls", 2),)."""
    return tuple(Good(name.replace("_", " "), price) for name, price in prices.items())


def month_of(day: float) -> int:
    return (START + timedelta(days=day)).month
