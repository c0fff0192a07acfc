"""What happened in windows that have passed, against the contract's own interpreter of texts."""

import json
from datetime import date, timedelta

import pyarrow.parquet as pq
import pytest
from factories import day, event, story, write_lake
from test_io import digests

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import (
    EVENT_TEMPLATES,
    NOTHING,
    PAYMENT,
    clean,
    event_text,
    summaries,
    text_key,
)
from feature_repo.contracts.windows import Windows, cutoff_instant
from spark_jobs.build_outcomes import Asked, build_outcomes, read_asked

DS = date(2022, 9, 1)
TABLES = story()
WANTED = ("tea", "tea, goods", NOTHING, "The user made a purchase", "The user spent more than 20 EUR in total")
WANTED += ("The user paid by cash", "The user had a cancelled payment", "buy milk", "never heard of")
KEYS = tuple(text_key(text) for text in WANTED)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return write_lake(tmp_path_factory.mktemp("lakes") / "tiny", TABLES, currency="EUR", ends="2023-01-01")


def built(spark, lake, out, *asked: Asked) -> dict:
    build_outcomes(spark, Settings(lake=str(lake)), asked, out=out)
    return json.loads((out / "manifest.json").read_text())["windows"]


def expected(ds: date, horizon_days: int, gap_days: int) -> set[tuple[str, int]]:
    """Every text of every future, as contracts/templates.py tells it."""
    window = Windows(1, horizon_days, gap_days).future(cutoff_instant(ds))
    found = set()
    for user in known(ds):
        events = [(s, row) for s in EVENT_SOURCES for row in TABLES[s] if row["user_id"] == user]
        future = [(s, row) for s, row in events if row["event_time"] in window]
        texts = set(summaries(future, "EUR")) | {event_text(EVENT_TEMPLATES[s], row) for s, row in future}
        texts |= {PAYMENT.lead + clean(row["channel"]) for s, row in future if s == "bills" and row.get("channel")}
        found |= {(user, text_key(text)) for text in texts}
    return found


def known(ds: date) -> set[str]:
    rows = [(row["user_id"], row["event_time"]) for source in EVENT_SOURCES for row in TABLES[source]]
    rows += [(row["user_id"], row["valid_from"]) for row in TABLES["profiles"]]
    return {user for user, time in rows if time < cutoff_instant(ds)}


@pytest.mark.parametrize(
    ("horizon_days", "gap_days", "name"), [(60, 0, "2022-09-01_60d"), (30, 7, "2022-09-01_30d_gap7d")]
)
def test_the_pairs_are_those_of_the_templates(spark, lake, tmp_path, horizon_days, gap_days, name):
    told = built(spark, lake, tmp_path / "outcomes", Asked(DS, horizon_days, gap_days, KEYS))

    assert told == {name: {"observed": True, "population": len(known(DS))}}
    rows = [tuple(row.values()) for row in pq.read_table(tmp_path / "outcomes" / name).to_pylist()]
    everything = expected(DS, horizon_days, gap_days)
    assert set(rows) == {pair for pair in everything if pair[1] in KEYS} and len(rows) == len(set(rows))
    assert {key for _, key in rows} >= {text_key(NOTHING), text_key("The user made a purchase")}


def test_a_window_that_the_lake_does_not_reach_the_end_of_is_not_read(spark, lake, tmp_path):
    asked = [Asked(date(2022, 12, 1), 31, 0, KEYS), Asked(date(2022, 12, 2), 31, 0, KEYS)]
    told = built(spark, lake, tmp_path / "outcomes", *asked)
    assert [window["observed"] for window in told.values()] == [True, False]
    assert not (tmp_path / "outcomes" / asked[1].name).exists()


def test_the_window_is_half_open_and_nothing_before_it_counts(spark, tmp_path):
    at = [(0.99, "before"), (10, "first"), (19.99, "last"), (20, "after")]
    bills = [event("bills", "u", day(time), item=item) for time, item in at] + [event("bills", "v", day(0), item="old")]
    lake = write_lake(tmp_path / "lake", {"bills": bills}, ends="2022-02-01")
    keys = tuple(text_key(item) for _, item in at)
    start = day(10).date()

    built(spark, lake, tmp_path / "out", Asked(start, 10, 0, keys))

    rows = pq.read_table(tmp_path / "out" / f"{start}_10d").to_pylist()
    assert {row["text_key"] for row in rows} == {text_key("first"), text_key("last")}


def test_the_same_question_gives_the_same_bytes(spark, lake, tmp_path):
    asked = Asked(DS, 60, 0, KEYS), Asked(DS - timedelta(days=60), 30, 0, KEYS[:2])
    for name in ("one", "two"):
        built(spark, lake, tmp_path / name, *asked)
        built(spark, lake, tmp_path / name, *asked)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_the_question_is_read_as_it_is_written(tmp_path):
    path = tmp_path / "asked.json"
    path.write_text(json.dumps([{"ds": "2022-09-01", "horizon_days": 60, "gap_days": 0, "keys": [3, 1, 3]}]))
    assert read_asked(path) == [Asked(DS, 60, 0, (1, 3))]


@pytest.mark.parametrize(
    "content", ["", "{}x", "[{}]", '[{"ds": "soon", "horizon_days": 1, "gap_days": 0, "keys": []}]']
)
def test_another_question_is_refused(tmp_path, content):
    (tmp_path / "asked.json").write_text(content)
    with pytest.raises(FoundError, match=r"must be a list of windows with ds, horizon_days, gap_days and keys"):
        read_asked(tmp_path / "asked.json")
    with pytest.raises(FoundError, match="cannot be read as one: FileNotFoundError"):
        read_asked(tmp_path / "none.json")
