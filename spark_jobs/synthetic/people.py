"""People of the synthetic world: who they are, what they are used to, what happens to them, when they come and go."""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from spark_jobs.synthetic.habits import HABITS
from spark_jobs.synthetic.life_events import LIFE_EVENTS
from spark_jobs.synthetic.world import DAYS, START, LifeEvent, Topic

LAPSE = "lapse"
"""The intent of those who leave for good."""
FADING_DAYS = 60.0
"""Someone who leaves does less and less in these last days."""

_CITIES = ("Ashford", "Brunnen", "Castell", "Dorval", "Elmstad", "Fairhaven", "Grünau", "Hollis", "Ilmen", "Jorvik")
_HOUSEHOLDS = ("single", "couple", "family")
_LEVELS = ("basic", "silver", "gold")
_LEAVING = 0.22
_EARLIEST_EVENT = -120.0
"""Life events may have begun before the lake does."""


@dataclass(frozen=True)
class Happening:
    """A life event of one person; `start` in days after the lake's start, possibly before it."""

    event: LifeEvent
    start: float


@dataclass(frozen=True)
class Person:
    """One user. Times are days after the lake's start; `pace` scales how much they do."""

    user_id: str
    age: int
    gender: str
    city: str
    household: str
    income: float
    level: str
    newsletter: bool
    joined: float
    left: float
    pace: float
    habits: tuple[Topic, ...]
    happenings: tuple[Happening, ...]


def generator(seed: int, index: int, part: str) -> random.Random:
    """A stream of its own for each (seed, user, part): no partitioning or order of users changes it."""
    digest = hashlib.blake2b(f"{seed}:{index}:{part}".encode(), digest_size=16).digest()
    return random.Random(int.from_bytes(digest, "big"))


def person(seed: int, index: int) -> Person:
    """User number `index` of the world `seed`."""
    draw = generator(seed, index, "person")
    age = min(85, 18 + int(draw.gammavariate(3.0, 9.0)))
    gender = draw.choice(("female", "male"))
    household = draw.choices(_HOUSEHOLDS, (5, 3, 1) if age < 30 else (3, 4, 5) if age < 60 else (4, 6, 1))[0]
    income = round(draw.lognormvariate(10.2 + 0.012 * min(age, 50), 0.4), -2)
    traits = _traits(age, gender, household, income)
    joined, left = _stay(draw)
    pace = min(2.5, draw.lognormvariate(0.0, 0.45))
    return Person(
        user_id=f"u{index:08d}",
        age=age,
        gender=gender,
        city=draw.choice(_CITIES),
        household=household,
        income=income,
        level=_LEVELS[(pace > 0.9) + (pace > 1.5)],
        newsletter=draw.random() < 0.4,
        joined=joined,
        left=left,
        pace=pace,
        habits=_habits(draw, traits),
        happenings=tuple(_happenings(draw, traits, left)),
    )


def _traits(age: int, gender: str, household: str, income: float) -> frozenset[str]:
    traits = {gender, household}
    traits |= {"young"} if age < 32 else {"old"} if age > 57 else set()
    traits |= {"parent_age"} if 24 <= age <= 42 else set()
    traits |= {"wealthy"} if income > 55_000 else set()
    return frozenset(traits)


def _stay(draw: random.Random) -> tuple[float, float]:
    """Most are there from the start; some leave for good, the earliest after three months."""
    joined = 0.0 if draw.random() < 0.7 else draw.uniform(0.0, DAYS - 60.0)
    leaves = draw.random() < _LEAVING and joined < DAYS - 120.0
    return joined, draw.uniform(joined + 90.0, DAYS) if leaves else float(DAYS)


def _taste(traits: frozenset[str], liked_by: Mapping[str, float]) -> float:
    taste = 1.0
    for trait, factor in liked_by.items():
        taste *= factor if trait in traits else 1.0
    return taste


def _habits(draw: random.Random, traits: frozenset[str]) -> tuple[Topic, ...]:
    """Three to six different ones, those that suit the person more likely."""
    left: list[Topic] = list(HABITS)
    chosen: list[Topic] = []
    for _ in range(draw.randint(3, 6)):
        weights: Sequence[float] = [_taste(traits, topic.liked_by) for topic in left]
        chosen.append(left.pop(draw.choices(range(len(left)), weights)[0]))
    return tuple(chosen)


def _happenings(draw: random.Random, traits: frozenset[str], left: float) -> Iterator[Happening]:
    for event in LIFE_EVENTS:
        meets, start = draw.random(), draw.uniform(_EARLIEST_EVENT, DAYS)
        if meets < min(0.7, event.chance * _taste(traits, event.liked_by)) and start < left - 20.0:
            yield Happening(event, start)


def instant(day: float) -> datetime:
    """A day of the lake as a UTC time, to the second."""
    return START + timedelta(seconds=round(day * 86_400))


def profile_rows(who: Person) -> Iterator[tuple[object, ...]]:
    """user_id, valid_from, age, city, gender, household, income, member_level, newsletter; a second row where a
    life event changed the household."""
    income = who.income if int(who.user_id[1:]) % 9 else None
    own = (who.gender, who.household, income, who.level, who.newsletter)
    yield (who.user_id, instant(who.joined), float(who.age), who.city, *own)
    changes = sorted((h.start + h.event.stages[2].first_day, h.event.household) for h in who.happenings)
    for day, household in changes:
        if household and household != who.household and who.joined < day < who.left:
            own = (who.gender, household, income, who.level, who.newsletter)
            yield (who.user_id, instant(day), float(who.age), who.city, *own)
            return


def intent_rows(who: Person) -> Iterator[tuple[object, ...]]:
    """user_id, intent, start, end: the true reasons of what the person does within the lake, [start, end)."""
    for topic in who.habits:
        yield (who.user_id, topic.name, instant(who.joined), instant(who.left))
    for happening in who.happenings:
        start, end = max(happening.start, who.joined), min(happening.start + happening.event.days, who.left)
        if start < end:
            yield (who.user_id, happening.event.name, instant(start), instant(end))
    if who.left < DAYS:
        yield (who.user_id, LAPSE, instant(who.left), instant(DAYS))
