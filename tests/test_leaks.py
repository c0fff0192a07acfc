"""Nothing at or after a cut-off reaches the history side: shown by mutation of 1,000 random timelines.

Every timeline is lived by three users at a cut-off of its own. `same` lives it as it is; `after` lives another
one at t and later, by event or by arrival; `before` lives another one before t.
"""

import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import pytest
from factories import Row, Tables, day, event, profile, write_lake
from pyspark.sql import functions as F

from feature_repo.contracts.events import EVENT_SOURCES, PROFILES
from feature_repo.contracts.inputs import Lengths
from feature_repo.contracts.names import HISTORY
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.windows import day_number
from spark_jobs.features import load_events, text_table
from spark_jobs.lake import open_lake
from spark_jobs.transforms.population import by_user
from spark_jobs.transforms.snapshots import KEYS, snapshots

TIMELINES = 1_000
WORDS = ["tea", "coffee", "tent", "soap", "novel", "crib", "fern"]


@dataclass
class Timeline:
    """Rows by source, without their user."""

    cutoff: datetime
    rows: dict[str, list[Row]] = field(default_factory=lambda: {s: [] for s in (*EVENT_SOURCES, PROFILES)})

    def known(self, source: str) -> list[Row]:
        return [row for row in self.rows[source] if known_at(row) < self.cutoff]

    def unknown(self, source: str) -> list[Row]:
        return [row for row in self.rows[source] if known_at(row) >= self.cutoff]


def known_at(row: Row) -> datetime:
    time = row.get("event_time") or row["valid_from"]
    return max(time, row.get("arrival_time") or time)


def some_event(rng: random.Random, source: str, time: datetime) -> Row:
    row = event(source, "", time, arrival_time=None, event_id=None)
    row |= {name: rng.choice(WORDS) for name in ("item", "page", "title", "query") if name in row}
    if source == "bills":
        row |= {"amount": rng.uniform(1, 500), "status": rng.choice(["successful", "cancelled", None])}
    return row


def some_profile(rng: random.Random, time: datetime) -> Row:
    return profile("", time, city=rng.choice(WORDS), age=float(rng.randint(18, 90)))


def random_timeline(rng: random.Random) -> Timeline:
    """Events on both sides of the cut-off, some late, some exactly at it, some that share a minute."""
    line = Timeline(day(rng.randint(60, 300)))
    for source in EVENT_SOURCES:
        for _ in range(rng.randint(1, 6)):
            time = line.cutoff + timedelta(minutes=rng.randint(-60 * 24 * 50, 60 * 24 * 30))
            row = some_event(rng, source, time)
            row["arrival_time"] = rng.choice([None, time + timedelta(days=rng.randint(0, 20))])
            line.rows[source].append(row)
        line.rows[source].append(some_event(rng, source, line.cutoff - timedelta(microseconds=1)))
        line.rows[source] += [some_event(rng, source, line.cutoff - timedelta(hours=5)) for _ in range(2)]
    for days in rng.sample(range(-50, 30), 3):
        line.rows[PROFILES].append(some_profile(rng, line.cutoff + timedelta(days=days, seconds=1)))
    return line


def another_future(rng: random.Random, line: Timeline) -> Timeline:
    """Rows at or after t are changed and deleted, others added: at t exactly, later, and early but arriving late."""
    other = Timeline(line.cutoff)
    for source in EVENT_SOURCES:
        t = line.cutoff
        kept = [some_event(rng, source, row["event_time"]) | {"arrival_time": known_at(row)}
                for row in line.unknown(source) if rng.random() < 0.5]  # fmt: skip
        added = [some_event(rng, source, t), some_event(rng, source, t + timedelta(days=rng.random() * 90))]
        late = some_event(rng, source, t - timedelta(days=rng.randint(0, 40), seconds=1))
        late["arrival_time"] = rng.choice([t, t + timedelta(days=3)])
        again = [row | {"arrival_time": t, "amount": 1e6} if source == "bills" else row | {"arrival_time": t}
                 for row in line.known(source)[:1] if row["event_id"]]  # fmt: skip
        other.rows[source] = line.known(source) + kept + added + [late] + again
    other.rows[PROFILES] = [*line.known(PROFILES), some_profile(rng, line.cutoff)]
    other.rows[PROFILES].append(some_profile(rng, line.cutoff + timedelta(days=40)))
    return other


def another_past(rng: random.Random, line: Timeline) -> Timeline:
    """One thing before t is added, deleted or changed, in a source of its own."""
    other = Timeline(line.cutoff, {source: list(rows) for source, rows in line.rows.items()})
    source = rng.choice((*EVENT_SOURCES, PROFILES))
    just_before = line.cutoff - timedelta(microseconds=1)
    known = line.known(source)
    change = rng.choice(["add", "delete", "change"]) if source != PROFILES else "add"
    if change != "add":
        other.rows[source].remove(known[0])
    if change == "change":
        name = {"bills": "item", "clicks": "page", "visits": "title", "searches": "query"}[source]
        other.rows[source].append(known[0] | {name: "something else"})
    if change == "add":
        row = profile("", just_before, city="elsewhere", age=1.0) if source == PROFILES else None
        other.rows[source].append(row or some_event(rng, source, just_before))
    return other


def delivered(rng: random.Random, line: Timeline) -> Timeline:
    """Gives some of the known events an id, so that they can be delivered again."""
    for source in EVENT_SOURCES:
        for row in line.known(source)[:1]:
            row["event_id"] = f"{source}-{rng.getrandbits(60)}"
    return line


def lived_by(user: str, line: Timeline) -> Tables:
    """An event_id is one event of one user: each life has ids of its own, in the same order."""
    named = {source: [row | {"user_id": user} for row in rows] for source, rows in line.rows.items()}
    for source in EVENT_SOURCES:
        for row in named[source]:
            row["event_id"] = row["event_id"] and f"{user}-{row['event_id']}"
    return named


@pytest.fixture(scope="module")
def lives(spark, tmp_path_factory):
    """Per timeline and life the whole history side, as one string of JSON."""
    rng = random.Random(11)
    lines = [delivered(rng, random_timeline(rng)) for _ in range(TIMELINES)]
    tables: Tables = {source: [] for source in (*EVENT_SOURCES, PROFILES)}
    for number, line in enumerate(lines):
        lives = {"same": line, "twin": line, "after": another_future(rng, line), "before": another_past(rng, line)}
        for life, lived in lives.items():
            for source, rows in lived_by(f"{life}-{number}", lived).items():
                tables[source] += rows
    lake = write_lake(tmp_path_factory.mktemp("leaks") / "lake", tables)
    return histories(spark, lake, {number: line.cutoff.date() for number, line in enumerate(lines)})


def histories(spark, lake, cutoffs: dict[int, date]) -> dict[str, dict[int, str]]:
    tables = open_lake(spark, Settings(lake=str(lake)))
    events = load_events(tables, partitions=2)
    lives = ("same", "twin", "after", "before")
    keys = [(f"{life}-{number}", day_number(t)) for number, t in cutoffs.items() for life in lives]
    asked = by_user(spark.createDataFrame(keys, "user_id string, cutoff_day int"), partitions=2)
    views = snapshots(
        events, tables.profiles, asked, sources=tables.lake.event_sources, lengths=Lengths(16, 8), history_days=400
    )
    joined = views.pop(HISTORY)
    for view in views.values():
        joined = joined.join(view, KEYS, how="inner")
    assert text_table(events, tables.profiles).count() > 0
    row = F.to_json(F.struct(*[c for c in joined.columns if c != "user_id"]), {"ignoreNullFields": "false"})
    found: dict[str, dict[int, str]] = {life: {} for life in lives}
    for user, told in joined.select("user_id", row).collect():
        life, number = user.split("-")
        found[life][int(number)] = told
    return found


def test_all_lives_are_there(lives):
    assert all(len(rows) == TIMELINES for rows in lives.values())


def test_equal_lives_have_equal_rows(lives):
    assert lives["twin"] == lives["same"]


def test_what_happens_or_arrives_at_the_cutoff_or_later_changes_no_byte(lives):
    assert [n for n in lives["same"] if lives["after"][n] != lives["same"][n]] == []


def test_what_happened_before_the_cutoff_changes_the_row(lives):
    assert [n for n in lives["same"] if lives["before"][n] == lives["same"][n]] == []
