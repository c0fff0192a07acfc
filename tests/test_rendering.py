"""The two interpreters of the templates say the same; what they say is fixed by golden texts."""

import random
from datetime import timedelta

import pytest
from factories import STARTS, day
from pyspark.sql import types as T

from feature_repo.contracts.events import EVENT_SOURCES, EVENT_TABLES
from feature_repo.contracts.inputs import Lengths
from feature_repo.contracts.templates import (
    EVENT_TEMPLATES,
    NOTHING,
    PAYMENT,
    clean,
    descriptions,
    event_text,
    summaries,
    text_key,
)
from feature_repo.contracts.windows import Windows, day_number
from spark_jobs.schemas import event_schema
from spark_jobs.transforms.events import rendered_events
from spark_jobs.transforms.futures import future_descriptions, future_sentences, sentence_table
from spark_jobs.transforms.population import by_user

WORDS = [
    "café",
    "naïve  tea",
    "日本語 の本",
    "🎁 gift",
    "",
    " ",
    "a\tb\nc",
    "\x00\x1f",
    "x" * 200,
    "ﬁ ligature",
    "Z\u0301",
]
STATUSES = ["successful", "cancelled", "overdue 2 months", None, "", " successful ", "REFUNDED"]
CUTOFF = day(30).date()


def random_event(rng: random.Random, source: str, number: int) -> dict[str, object]:
    row: dict[str, object] = {
        f.name: rng.choice([None, rng.choice(WORDS), f"{rng.choice(WORDS)} {rng.choice(WORDS)}"])
        for f in EVENT_TABLES[source]
        if f.kind == "string"
    }
    if source == "bills":
        row |= {"amount": rng.choice([None, 0.0, -12.5, 0.1, 99.99, rng.uniform(-1e3, 1e6)]), "quantity": None}
        row["status"] = rng.choice(STATUSES)
    time = STARTS + timedelta(days=rng.randint(30, 40), seconds=rng.randint(0, 86_399))
    user = f"u{rng.randint(0, 400)}"
    return row | {"user_id": user, "event_time": time, "arrival_time": None, "event_id": str(number)}


@pytest.fixture(scope="module")
def happenings():
    """10,000 events as (source, row): unicode, controls, nulls, long fields, empty fields."""
    rng = random.Random(3)
    return [(source, random_event(rng, source, n)) for n in range(10_000) for source in [rng.choice(EVENT_SOURCES)]]


@pytest.fixture(scope="module")
def rendered(spark, happenings):
    frames = {}
    for source in EVENT_SOURCES:
        schema = event_schema(EVENT_TABLES[source])
        rows = [tuple(row.get(f.name) for f in schema.fields) for s, row in happenings if s == source]
        frames[source] = spark.createDataFrame(rows, schema)
    return rendered_events(frames, partitions=2).persist()


@pytest.fixture(scope="module")
def asked(spark, happenings):
    users = [*sorted({row["user_id"] for _, row in happenings}), "nobody"]
    schema = T.StructType([T.StructField("user_id", T.StringType()), T.StructField("cutoff_day", T.IntegerType())])
    keys = spark.createDataFrame([(user, day_number(CUTOFF)) for user in users], schema)
    return by_user(keys, partitions=2).persist()


def futures_by_user(happenings):
    by_user = {"nobody": []}
    for source, row in happenings:
        by_user.setdefault(row["user_id"], []).append((source, row))
    return by_user


def test_spark_and_python_render_10_000_random_events_equally(rendered, happenings):
    expected = []
    for source, row in happenings:
        template = EVENT_TEMPLATES[source]
        text = event_text(template, row)
        expected.append((row["user_id"], source, text, text_key(text), clean(row.get(template.parts[0].field))))

    actual = [tuple(r) for r in rendered.select("user_id", "source", "text", "text_key", "item").collect()]

    assert sorted(actual) == sorted(expected)


def test_spark_and_python_describe_random_futures_equally(rendered, asked, happenings):
    windows = Windows(history_days=30, horizon_days=90)
    told = future_descriptions(rendered, asked, windows, currency="EUR").drop("cutoff_day").collect()

    actual = {row["user_id"]: {k: v for k, v in row.asDict().items() if k != "user_id"} for row in told}

    assert actual == {user: descriptions(events, "EUR") for user, events in futures_by_user(happenings).items()}


def test_future_sentences_are_event_texts_payments_and_summaries(spark, rendered, asked, happenings):
    windows, lengths = Windows(history_days=30, horizon_days=90), Lengths(future=1_000)
    sentences = future_sentences(rendered, asked, windows, currency="EUR", lengths=lengths)
    table = sentence_table(spark, rendered, currency="EUR").unionByName(rendered.select("text_key", "text"))
    texts = {row["text_key"]: row["text"] for row in table.distinct().collect()}

    actual = {row["user_id"]: list(row["future_text"]) for row in sentences.collect()}

    for user, events in futures_by_user(happenings).items():
        expected = sentences_in_python(events)
        assert {texts[key] for key in actual[user]} == expected
        assert actual[user] == sorted(map(text_key, expected)), "keys are distinct and in order"


def sentences_in_python(events):
    told = {event_text(EVENT_TEMPLATES[s], row) for s, row in events} - {""}
    paid = {clean(row.get("channel")) for s, row in events if s == "bills"} - {""}
    return told | {PAYMENT.lead + channel for channel in paid} | set(summaries(events, "EUR"))


def test_a_user_with_an_empty_future_did_nothing(rendered, asked):
    windows, lengths = Windows(history_days=30, horizon_days=90), Lengths()
    sentences = future_sentences(rendered, asked, windows, currency="", lengths=lengths)

    row = sentences.filter("user_id = 'nobody'").collect()[0]

    assert (list(row["future_text"]), row["future_length"]) == ([text_key(NOTHING)], 1)


def test_a_future_with_more_sentences_than_fit_keeps_its_summaries(rendered, asked, happenings):
    windows, room = Windows(history_days=30, horizon_days=90), 40
    sentences = future_sentences(rendered, asked, windows, currency="EUR", lengths=Lengths(future=room))

    actual = {row["user_id"]: list(row["future_text"]) for row in sentences.collect()}

    for user, events in futures_by_user(happenings).items():
        whole = {text_key(s) for s in summaries(events, "EUR")}
        others = sorted({text_key(s) for s in sentences_in_python(events)} - whole)
        assert actual[user] == sorted([*whole, *others[: room - len(whole)]])


def test_the_future_starts_after_the_gap_and_ends_before_the_horizon(rendered, asked, happenings):
    windows = Windows(history_days=30, horizon_days=3, gap_days=2)
    sentences = future_sentences(rendered, asked, windows, currency="", lengths=Lengths(future=1_000))
    window = windows.future(day(30))

    actual = {row["user_id"]: set(row["future_text"]) for row in sentences.collect()}

    for user, events in futures_by_user(happenings).items():
        seen = [(s, row) for s, row in events if row["event_time"] in window]
        assert {text_key(s) for s in summaries(seen, "")} <= actual[user]
        assert {text_key(event_text(EVENT_TEMPLATES[s], row)) for s, row in seen} - {text_key("")} <= actual[user]
        assert (text_key(NOTHING) in actual[user]) == (not seen)


GOLDEN = {
    "bills": ({"item": "Picnic basket", "category": "garden", "merchant": "ACME", "status": "successful"},
              "Picnic basket, garden at ACME", 205503059519052218),
    "visits": ({"title": "Skyfall", "description": "Action", "app": "films", "action": "rated"},
               "Skyfall, Action in films, rated", 887256395793898893),
    "searches": ({"query": "  tent\nfor 4 "}, "tent for 4", 1068986684925203156),
    "clicks": ({"page": "home", "element": None}, "home", 73929797154666879),
}  # fmt: skip


@pytest.mark.parametrize("source", GOLDEN)
def test_golden_texts_change_only_with_the_template_version(spark, source):
    row, text, key = GOLDEN[source]
    schema = event_schema(EVENT_TABLES[source])
    full = {"user_id": "u", "event_time": day(1)} | row
    frame = spark.createDataFrame([tuple(full.get(f.name) for f in schema.fields)], schema)

    actual = rendered_events({source: frame}, partitions=1).select("text", "text_key").collect()

    assert [tuple(r) for r in actual] == [(text, key)]
    assert (event_text(EVENT_TEMPLATES[source], row), text_key(text)) == (text, key)


def test_amounts_add_up_the_same_in_any_order():
    bills = [("bills", {"item": "tea", "amount": amount}) for amount in [0.1] * 10 + [0.7, 0.2, 0.1]]

    assert summaries(bills, "EUR") == summaries(bills[::-1], "EUR")
    assert "The user spent more than 2 EUR in total" in summaries(bills, "EUR"), "13 amounts, exactly 2.00"
