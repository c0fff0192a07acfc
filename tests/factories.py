"""Tiny lakes for tests: rows as dicts in, the parquet folders of a lake out."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from feature_repo.contracts.events import EVENT_SOURCES, EVENT_TABLES, PROFILES

Row = dict[str, Any]
Tables = dict[str, list[Row]]

ARROW_TYPES = {"string": pa.string(), "double": pa.float64(), "timestamp": pa.timestamp("us", tz="UTC")}
STARTS = datetime(2022, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    """An instant `number` days after the tiny lakes start."""
    return STARTS + timedelta(days=number)


def event(source: str, user: str, time: datetime, **fields: Any) -> Row:
    """An event with its required fields filled."""
    needed = [f.name for f in EVENT_TABLES[source] if f.required and f.name not in ("user_id", "event_time")]
    return {"user_id": user, "event_time": time, **{name: f"some {name}" for name in needed}, **fields}


def profile(user: str, valid_from: datetime, **columns: Any) -> Row:
    return {"user_id": user, "valid_from": valid_from, **columns}


def write_table(folder: Path, rows: Sequence[Row], schema: Mapping[str, pa.DataType] | None = None) -> None:
    """One parquet file with the columns that occur in the rows, typed as the contract says (or by `schema`)."""
    kinds = {f.name: ARROW_TYPES[f.kind] for table in EVENT_TABLES.values() for f in table}
    kinds |= {"valid_from": ARROW_TYPES["timestamp"], **(schema or {})}
    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = {n: pa.array([row.get(n) for row in rows], type=kinds.get(n)) for n in names}
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays), folder / "part-00000.parquet")


def write_lake(root: Path, tables: Mapping[str, Sequence[Row]], /, **description: Any) -> Path:
    """A lake of these tables; `description` adds to its lake.yaml."""
    for source, rows in tables.items():
        write_table(root / source, rows)
    document = {"name": root.name, "sources": list(tables), **description}
    root.mkdir(parents=True, exist_ok=True)
    (root / "lake.yaml").write_text(yaml.safe_dump(document))
    return root


def story(*, users: int = 24, days: int = 400, seed: int = 7) -> Tables:
    """All five sources of a few users with habits; some fall silent, some have no profile."""
    rng = random.Random(seed)
    tables: Tables = {source: [] for source in (*EVENT_SOURCES, PROFILES)}
    for number in range(users):
        user = f"u{number:03d}"
        habit = rng.choice(["coffee", "tea", "garden chair", "baby food", "tent"])
        if number % 5:
            row = profile(user, day(rng.random() * 60), city=rng.choice(["Rome", "Oslo", None]), age=20.0 + number)
            tables[PROFILES].append(row)
        last = days if number % 3 else days / 2
        for _ in range(rng.randint(4, 25)):
            _act(tables, rng, user, habit, day(rng.random() * last))
    return tables


def _act(tables: Tables, rng: random.Random, user: str, habit: str, time: datetime) -> None:
    item = habit if rng.random() < 0.7 else rng.choice(["bread", "milk", "soap"])
    later = timedelta(minutes=rng.randint(1, 90))
    tables["searches"].append(event("searches", user, time, query=f"buy {item}"))
    tables["clicks"].append(event("clicks", user, time + later, page=f"page of {item}", element="button"))
    tables["visits"].append(event("visits", user, time + 2 * later, app="shop", title=item, action="viewed"))
    bill = event(
        "bills",
        user,
        time + 3 * later,
        item=item,
        category="goods",
        amount=round(rng.random() * 90, 2),
        channel=rng.choice(["credit card", "cash", None]),
        status=rng.choice(["successful", "successful", "cancelled", None]),
        order_id=str(rng.randint(1, 10**6)),
    )
    tables["bills"].append(bill)


def story_lake(root: Path, *sources: str, users: int = 24, days: int = 400, seed: int = 7) -> Path:
    """The story, with only the named sources (all five by default)."""
    tables = story(users=users, days=days, seed=seed)
    return write_lake(root, {s: tables[s] for s in (sources or tables)}, currency="EUR")
