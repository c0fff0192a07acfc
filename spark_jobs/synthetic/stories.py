"""What people leave behind in the logs: each want is an episode that goes from search to click to visit to bill."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from spark_jobs.synthetic.habits import HABITS
from spark_jobs.synthetic.life_events import LIFE_EVENTS
from spark_jobs.synthetic.people import FADING_DAYS, Happening, Person, generator, instant
from spark_jobs.synthetic.world import DAYS, Good, LifeEvent, Stage, Topic, month_of

EVENT_COLUMNS = (
    "source", "user_id", "event_time", "item", "category", "merchant", "amount", "quantity", "channel", "status",
    "order_id", "page", "element", "app", "title", "description", "action", "query", "topic", "intent",
)  # fmt: skip
"""The columns of all four event tables, then what only the generator knows: `topic` is what an event is about,
`intent` the habit or life event that caused it (null: a whim)."""

_TIME = EVENT_COLUMNS.index("event_time")

_QUERIES = ("{}", "best {}", "buy {}", "{} reviews")
_ELEMENTS = ("picture", "details", "add to basket")
_TITLES = ("{}: a buying guide", "Which {} is right for you")
_ACTIONS = ("read", "read", "read", "saved")
_CHANNELS = ("credit card", "debit card", "wallet balance", "bank transfer", "instalments")
_CANCELLED = 0.05
_WHIMS_PER_DAY = 1 / 45
_OFF_SEASON = 0.02

Row = tuple[object, ...]


@dataclass(frozen=True)
class Want:
    """One episode: something about a topic that may end in a purchase at `day`."""

    about: Topic | LifeEvent
    good: Good
    day: float
    intent: str | None
    search_share: float
    buy_share: float


def events(seed: int, index: int, who: Person) -> list[tuple[Any, ...]]:
    """All events of one person as rows of EVENT_COLUMNS, oldest first. None lies outside their stay."""
    draw = generator(seed, index, "events")
    pays = draw.choices(_CHANNELS, (5, 4, 3, 1, 1), k=2)
    rows: list[tuple[Any, ...]] = []
    for number, want in enumerate(_wants(draw, who)):
        rows += _episode(draw, who, want, f"{who.user_id}-{number:04d}", pays)
    for happening in who.happenings:
        rows += _wondering(draw, who, happening)
    joined, left = instant(who.joined), instant(who.left)
    return sorted((row for row in rows if joined <= row[_TIME] < left), key=itemgetter(_TIME))


def _wants(draw: random.Random, who: Person) -> Iterator[Want]:
    for topic in who.habits:
        yield from _habit(draw, who, topic)
    for happening in who.happenings:
        for stage in happening.event.stages:
            for day in _days(draw, who, happening, stage, stage.episodes):
                good = draw.choice(stage.goods)
                yield Want(happening.event, good, day, happening.event.name, 0.8, stage.buy_share)
    for _ in range(_about(draw, (who.left - who.joined) * _WHIMS_PER_DAY * who.pace)):
        about: Topic | LifeEvent = draw.choice(HABITS) if draw.random() < 0.7 else draw.choice(LIFE_EVENTS)
        wares = about.goods if isinstance(about, Topic) else draw.choice(about.stages).goods
        yield Want(about, draw.choice(wares), draw.uniform(who.joined, who.left), None, 0.5, 0.35)


def _habit(draw: random.Random, who: Person, topic: Topic) -> Iterator[Want]:
    """Regular, in its season, of a few favourite goods, and ever more rarely before the person leaves."""
    favourites = draw.sample(topic.goods, 3)
    period = topic.period_days * draw.uniform(1.0, 2.0) / who.pace
    day = who.joined + draw.uniform(0.0, period)
    while day < who.left:
        in_season = draw.random() < (1.0 if month_of(day) in topic.months else _OFF_SEASON)
        fades = who.left < DAYS and draw.random() * FADING_DAYS > who.left - day
        good = draw.choice(favourites if draw.random() < 0.8 else topic.goods)
        if in_season and not fades:
            yield Want(topic, good, day, topic.name, topic.search_share, 0.75)
        day += period * draw.uniform(0.7, 1.3)


def _days(draw: random.Random, who: Person, happening: Happening, stage: Stage, mean: float) -> list[float]:
    first, last = happening.start + stage.first_day, happening.start + stage.last_day
    return sorted(draw.uniform(first, last) for _ in range(_about(draw, mean * (0.5 + 0.5 * who.pace))))


def _about(draw: random.Random, mean: float) -> int:
    return int(mean * draw.uniform(0.6, 1.4) + draw.random())


def _episode(draw: random.Random, who: Person, want: Want, order: str, pays: list[str]) -> Iterator[Row]:
    """Search, click, visit and bill, in this order within a few days; any of them may be left out."""
    name, lead = want.good.name, draw.uniform(0.1, 4.0)
    purchase = int(want.day) + draw.triangular(0.3, 0.95, 0.7)
    number = draw.randrange(1_000)
    if draw.random() < want.search_share:
        yield _row(who, "searches", purchase - lead, want, query=_QUERIES[number % len(_QUERIES)].format(name))
    if draw.random() < 0.7:
        element = _ELEMENTS[number % len(_ELEMENTS)]
        page = f"{want.about.category} / {name}"
        yield _row(who, "clicks", purchase - lead * draw.uniform(0.7, 0.95), want, page=page, element=element)
    if draw.random() < 0.5:
        title, action = _TITLES[number % len(_TITLES)].format(name), _ACTIONS[number % len(_ACTIONS)]
        day = purchase - lead * draw.uniform(0.3, 0.65)
        yield _visit(who, day, want.about, want.intent, title[0].upper() + title[1:], action)
    if draw.random() < want.buy_share:
        yield _bill(draw, who, purchase, want, order, pays)


def _bill(draw: random.Random, who: Person, day: float, want: Want, order: str, pays: list[str]) -> Row:
    style = draw.randrange(len(want.about.styles))
    quantity = 1.0 if want.good.price > 30 else float(draw.choice((1, 1, 1, 2, 3)))
    return _row(
        who, "bills", day, want,
        item=f"{want.about.styles[style]} {want.good.name}",
        category=want.about.category,
        merchant=want.about.merchants[(style + len(want.good.name)) % len(want.about.merchants)],
        amount=round(want.good.price * draw.uniform(0.75, 1.35) * quantity, 2),
        quantity=quantity,
        channel=pays[draw.random() < 0.2],
        status="cancelled" if draw.random() < _CANCELLED else "successful",
        order_id=order,
    )  # fmt: skip


def _wondering(draw: random.Random, who: Person, happening: Happening) -> Iterator[Row]:
    """The questions and the reading of a life event, which come before and beside what is bought."""
    event = happening.event
    for stage in event.stages:
        share = (len(stage.questions) + len(stage.reading)) / 7
        for day in _days(draw, who, happening, stage, 8 * share):
            if draw.random() < 0.5:
                query = draw.choice(stage.questions)
                yield _tagged(who, "searches", day, event.name, event.name, query=query)
            else:
                yield _visit(who, day, event, event.name, draw.choice(stage.reading), draw.choice(_ACTIONS))


def _visit(who: Person, day: float, about: Topic | LifeEvent, intent: str | None, title: str, action: str) -> Row:
    fields = {"app": about.app, "title": title, "description": about.category, "action": action}
    return _tagged(who, "visits", day, about.name, intent, **fields)


def _row(who: Person, source: str, day: float, want: Want, **fields: object) -> Row:
    return _tagged(who, source, day, want.about.name, want.intent, **fields)


def _tagged(who: Person, source: str, day: float, topic: str, intent: str | None, **fields: object) -> Row:
    known = fields | {
        "source": source, "user_id": who.user_id, "event_time": instant(day), "topic": topic, "intent": intent,
    }  # fmt: skip
    return tuple(map(known.get, EVENT_COLUMNS))
