"""Snapshots equal a plain reading of the contract, row by row; what is wrong is not published."""

from datetime import UTC, date, datetime, timedelta

import pytest
from factories import day, event, profile, story, write_lake
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import BEHAVIOUR_SOURCES, EVENT_SOURCES
from feature_repo.contracts.inputs import COUNT_DAYS, Lengths, activity_columns, history_columns, search_columns
from feature_repo.contracts.names import ACTIVITY, HISTORY, PROFILE, SEARCHES, TEXTS, Workdir
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import EVENT_TEMPLATES, event_text, text_key, total
from feature_repo.contracts.windows import cutoff_instant
from spark_jobs.build_features import build_features
from spark_jobs.feature_checks import check_snapshots
from spark_jobs.schemas import input_schema

CUTOFFS = [date(2022, 2, 20), date(2022, 8, 1), date(2023, 2, 10)]
LENGTHS = Lengths(events=6, searches=3)
HISTORY_DAYS = 180


def late(tables):
    """The story with arrivals up to 40 days late, and one event in five delivered twice."""
    for source in EVENT_SOURCES:
        for number, row in enumerate(list(tables[source])):
            row["arrival_time"] = None if number % 3 else row["event_time"] + timedelta(days=number % 40)
            row["event_id"] = None if number % 2 else f"{source}-{number}"
            if number % 10 == 0:
                tables[source].append(row | {"arrival_time": row["event_time"] + timedelta(days=50)})
    return tables


@pytest.fixture(scope="module")
def tables():
    return late(story())


@pytest.fixture(scope="module")
def work(spark, tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    settings = Settings(
        lake=str(write_lake(folder / "lake", tables)),
        workdir=str(folder / "work"),
        history_days=HISTORY_DAYS,
        max_events=LENGTHS.events,
        max_searches=LENGTHS.searches,
    )
    build_features(spark, settings, CUTOFFS)
    return settings.work


def rows_of(spark, work: Workdir, view: str, ds: date) -> dict[str, dict]:
    frame = spark.read.parquet(str(work.partition(view, ds)))
    times = {row[0] for row in frame.select(F.unix_seconds("event_timestamp")).distinct().collect()}
    assert times == {int(cutoff_instant(ds).timestamp())}
    rows = frame.drop("event_timestamp").collect()
    assert len({row["user_id"] for row in rows}) == len(rows), "one row per user"
    return {row["user_id"]: {k: v for k, v in row.asDict().items() if k != "user_id"} for row in rows}


def known(tables, source: str, user: str, ds: date) -> list[dict]:
    """The user's events before the cut-off, by event and arrival, each once, newest first."""
    t = cutoff_instant(ds)
    first = {}
    for number, row in enumerate(tables[source]):
        at = max(row["event_time"], row["arrival_time"] or row["event_time"])
        key = row["event_id"] or number
        if row["user_id"] == user and at < t and (key not in first or at < first[key][0]):
            first[key] = (at, row)
    rows = [row for _, row in first.values() if row["event_time"] >= t - timedelta(days=HISTORY_DAYS)]
    return sorted(rows, key=lambda row: row["event_time"], reverse=True)


def users(tables, ds: date) -> set[str]:
    t = cutoff_instant(ds)
    times = [(r["user_id"], max(r["event_time"], r["arrival_time"] or r["event_time"]))
             for s in EVENT_SOURCES for r in tables[s]]  # fmt: skip
    times += [(row["user_id"], row["valid_from"]) for row in tables["profiles"]]
    return {user for user, time in times if time < t}


def days(row) -> int:
    return (row["event_time"].date() - date(1970, 1, 1)).days


def arrays(tables, source: str, user: str, ds: date, length: int) -> dict:
    rows = known(tables, source, user, ds)[:length]
    filling = [0] * (length - len(rows))
    expected = {
        f"{source}_text": [text_key(event_text(EVENT_TEMPLATES[source], row)) for row in rows] + filling,
        f"{source}_day": [days(row) for row in rows] + filling,
        f"{source}_length": len(rows),
    }
    if source == "bills":
        expected["bills_amount"] = pytest.approx([row["amount"] for row in rows] + filling, rel=1e-6)
    return expected


@pytest.mark.parametrize("ds", CUTOFFS, ids=str)
def test_histories_hold_the_newest_known_events_newest_first(spark, work, tables, ds):
    expected = {u: {} for u in users(tables, ds)}
    for user in expected:
        for source in BEHAVIOUR_SOURCES:
            expected[user] |= arrays(tables, source, user, ds, LENGTHS.events)

    assert rows_of(spark, work, HISTORY, ds) == expected


@pytest.mark.parametrize("ds", CUTOFFS, ids=str)
def test_searches_hold_the_newest_known_searches(spark, work, tables, ds):
    expected = {u: arrays(tables, "searches", u, ds, LENGTHS.searches) for u in users(tables, ds)}

    assert rows_of(spark, work, SEARCHES, ds) == expected


@pytest.mark.parametrize("ds", CUTOFFS, ids=str)
def test_activity_counts_what_is_known_in_the_history(spark, work, tables, ds):
    actual = rows_of(spark, work, ACTIVITY, ds)

    assert set(actual) == users(tables, ds)
    for user in actual:
        expected = {}
        for source in EVENT_SOURCES:
            ages = [(ds - row["event_time"].date()).days for row in known(tables, source, user, ds)]
            expected |= {f"{source}_count_{d}d": float(sum(age <= d for age in ages)) for d in COUNT_DAYS}
            expected |= {
                f"{source}_count": float(len(ages)),
                f"{source}_active_days": float(len(set(ages))),
                f"{source}_recency_days": float(min(ages, default=-1)),
                f"{source}_tenure_days": float(max(ages, default=-1)),
            }
        paid = [r for r in known(tables, "bills", user, ds) if r["status"] in (None, "successful")]
        for d in COUNT_DAYS:
            spent = total(r["amount"] for r in paid if (ds - r["event_time"].date()).days <= d)
            expected[f"spend_{d}d"] = pytest.approx(spent, rel=1e-6)
        expected["spend"] = pytest.approx(total(r["amount"] for r in paid), rel=1e-6)
        assert actual[user] == expected


@pytest.mark.parametrize("ds", CUTOFFS, ids=str)
def test_profiles_are_the_newest_valid_before_the_cutoff(spark, work, tables, ds):
    expected = {}
    for user in users(tables, ds):
        rows = [r for r in tables["profiles"] if r["user_id"] == user and r["valid_from"] < cutoff_instant(ds)]
        newest = max(rows, key=lambda row: row["valid_from"], default={})
        expected[user] = {"age": newest.get("age"), "city": newest.get("city")}

    assert rows_of(spark, work, PROFILE, ds) == expected


@pytest.mark.parametrize("ds", CUTOFFS, ids=str)
def test_texts_name_every_key_of_the_partition_and_no_other(spark, work, ds):
    named = {r["text_key"]: r["text"] for r in spark.read.parquet(str(work.partition(TEXTS, ds))).collect()}
    used = set()
    for view in (HISTORY, SEARCHES):
        for row in rows_of(spark, work, view, ds).values():
            used |= {key for name, value in row.items() if name.endswith("_text") for key in value if key}
    cities = {row["city"] for row in rows_of(spark, work, PROFILE, ds).values()} - {None}

    assert set(named) == used | {text_key(city) for city in cities}
    assert all(text_key(text) == key for key, text in named.items())


def test_partitions_have_the_columns_of_the_contract(spark, work):
    columns = {HISTORY: history_columns(LENGTHS), SEARCHES: search_columns(LENGTHS), ACTIVITY: activity_columns()}
    for view, expected in columns.items():
        frame = spark.read.parquet(str(work.partition(view, CUTOFFS[0])))
        schema = input_schema(expected)
        assert frame.columns == ["user_id", "event_timestamp", *schema.fieldNames()]
        assert [f.dataType for f in frame.schema.fields[2:]] == [f.dataType for f in schema.fields]


def test_ties_in_time_have_one_order_whatever_the_order_of_the_rows(spark, tmp_path):
    rows = [event("bills", "u1", day(1), item=f"item {n % 7}", amount=float(n % 3)) for n in range(40)]
    kept = []
    for name, given in (("a", rows), ("b", rows[::-1])):
        lake = write_lake(tmp_path / name / "lake", {"bills": given})
        settings = Settings(lake=str(lake), workdir=str(tmp_path / name), max_events=10, max_searches=1)
        build_features(spark, settings, [day(3).date()])
        kept.append((settings.work.partition(HISTORY, day(3).date()) / "part-00000.parquet").read_bytes())

    assert kept[0] == kept[1]


def test_without_event_ids_exact_duplicates_all_count(spark, tmp_path):
    lake = write_lake(tmp_path / "lake", {"clicks": [event("clicks", "u1", day(1))] * 3})
    settings = Settings(lake=str(lake), workdir=str(tmp_path / "work"), max_events=4, max_searches=1)

    build_features(spark, settings, [day(2).date()])

    assert rows_of(spark, settings.work, HISTORY, day(2).date())["u1"]["clicks_length"] == 3


def test_empty_event_ids_are_none(spark, tmp_path):
    rows = [event("clicks", "u1", day(1)) | {"event_id": given} for given in ("", " ", "", None, "a", "a")]
    lake = write_lake(tmp_path / "lake", {"clicks": rows})
    settings = Settings(lake=str(lake), workdir=str(tmp_path / "work"), max_events=8, max_searches=1)

    build_features(spark, settings, [day(2).date()])

    assert rows_of(spark, settings.work, HISTORY, day(2).date())["u1"]["clicks_length"] == 5


def test_a_day_that_has_not_begun_is_refused_and_a_lake_that_ends_long_before_is_told(spark, tmp_path, capsys):
    lake = write_lake(tmp_path / "lake", {"clicks": [event("clicks", "u1", day(1))]})
    settings = Settings(lake=str(lake), workdir=str(tmp_path / "work"), max_events=8, max_searches=1)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)

    with pytest.raises(FoundError, match=f"a snapshot is of a day that has begun .UTC., found {tomorrow}"):
        build_features(spark, settings, [day(2).date(), tomorrow])
    assert not settings.work.view(HISTORY).exists()

    build_features(spark, settings, [day(9).date()])
    told = capsys.readouterr().out
    assert f"the lake ends at 2022-01-02 00:00 UTC, 7 days before {day(9).date()}" in told


def test_a_day_on_which_nobody_has_any_text_is_refused(spark, tmp_path):
    rows = {"clicks": [event("clicks", "u1", day(9))], "profiles": [profile("u1", day(1)) | {"age": 7}]}
    lake = write_lake(tmp_path / "shop", rows)

    with pytest.raises(FoundError, match="nobody of shop has any event or profile text before 2022-01-03"):
        build_features(spark, Settings(lake=str(lake), workdir=str(tmp_path / "work")), [day(2).date()])


def test_a_lake_without_profiles_has_an_empty_profile_schema(spark, tmp_path):
    lake = write_lake(tmp_path / "lake", {"searches": [event("searches", "u1", day(1))]})
    settings = Settings(lake=str(lake), workdir=str(tmp_path / "work"), max_events=2, max_searches=2)

    build_features(spark, settings, [day(2).date()])

    assert rows_of(spark, settings.work, PROFILE, day(2).date()) == {"u1": {}}
    assert settings.work.profile_schema.read_text() == '{\n "categorical": [],\n "numeric": []\n}\n'


def test_profile_columns_may_have_any_names(spark, tmp_path):
    row = profile("u1", day(1)) | {"home.town": "Rome", "select": 1, "a b`c": True}
    lake = write_lake(tmp_path / "lake", {"clicks": [event("clicks", "u1", day(1))], "profiles": [row]})
    settings = Settings(lake=str(lake), workdir=str(tmp_path / "work"), max_events=2, max_searches=2)

    build_features(spark, settings, [day(2).date()])

    actual = rows_of(spark, settings.work, PROFILE, day(2).date())["u1"]
    assert actual == {"home.town": "Rome", "select": 1.0, "a b`c": "true"}


def test_a_cutoff_before_every_user_is_refused(spark, tmp_path):
    lake = write_lake(tmp_path / "shop", {"clicks": [event("clicks", "u1", day(9))]})

    with pytest.raises(FoundError) as error:
        build_features(spark, Settings(lake=str(lake), workdir=str(tmp_path / "work")), [date(2022, 1, 2)])

    assert str(error.value) == (
        "no user of shop is known before 2022-01-02: its first event is at 2022-01-10 00:00 UTC. "
        "Choose a later cut-off."
    )


BROKEN = {
    "a user twice at one cut-off in 1 rows": {"user_id": ["u1", "u1"]},
    "a null key in 1 rows": {"user_id": ["u1", None]},
    "searches_text: not 3 long in 1 rows": {"searches_text": [[1, 0, 0], [1, 0]]},
    "searches_text: a null in 1 rows": {"searches_text": [[1, 0, 0], [1, None, 0]]},
    "searches_length: a null in 2 rows": {"searches_length": [None, None]},
    "searches_day: an event at or after the cut-off in 1 rows": {"searches_day": [[18_992, 0, 0], [18_993, 0, 0]]},
}


class TestChecks:
    """A partition that breaks a promise is named and not published."""

    def frame(self, spark, **changed):
        columns = {
            "user_id": ["u1", "u2"],
            "searches_text": [[1, 0, 0], [2, 0, 0]],
            "searches_day": [[18_000, 0, 0], [18_001, 0, 0]],
            "searches_length": [1, 1],
        } | changed
        kinds = "user_id string, searches_text array<bigint>, searches_day array<int>, searches_length int"
        rows = list(zip(*columns.values(), strict=True))
        stamp = F.timestamp_seconds(F.lit(int(day(0).timestamp()))).alias("event_timestamp")
        return spark.createDataFrame(rows, kinds).select("*", stamp)

    def test_sound_rows_pass(self, spark):
        check_snapshots(SEARCHES, self.frame(spark), search_columns(LENGTHS))

    @pytest.mark.parametrize("told", BROKEN)
    def test_broken_rows_are_refused(self, spark, told):
        with pytest.raises(FoundError) as error:
            check_snapshots(SEARCHES, self.frame(spark, **BROKEN[told]), search_columns(LENGTHS))

        assert str(error.value) == (
            f"the view 'searches' is not published, its check failed: {told}. The old partition stays."
        )

    def test_a_failed_check_publishes_nothing(self, spark, tmp_path, monkeypatch):
        lake = write_lake(tmp_path / "lake", {"clicks": [event("clicks", "u1", day(1))]})
        settings = Settings(lake=str(lake), workdir=str(tmp_path / "work"), max_events=2, max_searches=2)

        def refuses(view, *rest):
            raise FoundError(view)

        monkeypatch.setattr("spark_jobs.features.check_snapshots", refuses)
        with pytest.raises(FoundError, match="history"):
            build_features(spark, settings, [day(2).date()])

        assert not list(settings.work.root.rglob("*.parquet"))
