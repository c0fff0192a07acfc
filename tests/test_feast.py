"""Feast: the registered objects, the point-in-time join of Spark jobs, materialisation and online lookups."""

import json
import os
import subprocess
import sys
import time
import warnings
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.inputs import Column, Lengths, activity_columns, history_columns, search_columns
from feature_repo.contracts.names import (
    ACTIVITY,
    DESCRIPTION,
    EMBEDDING,
    HISTORY,
    INPUT_VIEWS,
    PROFILE,
    SEARCHES,
    SERVING_SERVICE,
    TRAINING_SERVICE,
)
from feature_repo.contracts.settings import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from feast import FeatureStore

    from feature_repo.definitions import define
    from feature_repo.store import apply, main, materialize, online_columns, open_store, point_in_time

ROOT = Path(__file__).parents[1]
LENGTHS = Lengths(events=4, searches=3)
DS = date(2011, 6, 1)
CUTOFF = datetime(2011, 6, 1, tzinfo=UTC)
CONTRACT = {
    HISTORY: history_columns(LENGTHS),
    SEARCHES: search_columns(LENGTHS),
    ACTIVITY: activity_columns(),
}
_NUMPY = {"int64": np.int64, "int32": np.int32, "float32": np.float32}


def column(c: Column, users: int, offset: int) -> pa.Array:
    """Values that differ by user, column and offset."""
    start = offset + sum(map(ord, c.name)) % 97
    if c.length is None:
        return pa.array((start + np.arange(users)).astype(_NUMPY[c.kind]))
    values = (start + np.arange(users * c.length)).astype(_NUMPY[c.kind])
    return pa.ListArray.from_arrays(np.arange(0, len(values) + 1, c.length, dtype=np.int32), pa.array(values))


def snapshot(users: list[str], columns: dict[str, pa.Array], cutoff: datetime = CUTOFF) -> pa.Table:
    times = pa.array([cutoff] * len(users), pa.timestamp("us", tz="UTC"))
    return pa.table({"user_id": users, "event_timestamp": times, **columns})


def write_partition(settings: Settings, view: str, table: pa.Table, ds: date = DS) -> None:
    """As the jobs publish it: a link to a hidden run folder."""
    link = settings.work.partition(view, ds)
    run = link.parent / ".runs" / f"{link.name}.a"
    run.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, run / "part-00000.parquet")
    if not link.is_symlink():
        os.symlink(f".runs/{run.name}", link)


def write_inputs(settings: Settings, users: list[str], *, ds: date = DS, offset: int = 0, profile: bool = True) -> None:
    cutoff = datetime(ds.year, ds.month, ds.day, tzinfo=UTC)
    for view, columns in CONTRACT.items():
        values = {c.name: column(c, len(users), offset) for c in columns}
        write_partition(settings, view, snapshot(users, values, cutoff), ds)
    if profile:
        settings.work.profile_schema.write_text(json.dumps({"categorical": ["home city"], "numeric": ["spend"]}))
        own = {"home city": pa.array([f"city {u}" for u in users]), "spend": pa.array([float(offset)] * len(users))}
        write_partition(settings, PROFILE, snapshot(users, own, cutoff), ds)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(workdir=str(tmp_path / "work"))


def test_every_input_view_has_the_columns_of_the_contract(settings):
    views = {v.name: v for v in define(settings.work).views}

    for name, columns in CONTRACT.items():
        assert [f.name for f in views[name].features] == [c.name for c in columns]
    assert [f.name for f in views[DESCRIPTION].features] == ["purchase", "browse", "search", "click", "payment"]
    assert [f.name for f in views[EMBEDDING].features] == [
        "vector",
        "text_keys",
        "text_weights",
        "input_hash",
        "model_version",
    ]
    assert {name: view.online for name, view in views.items()} == {
        HISTORY: True, SEARCHES: True, ACTIVITY: True, DESCRIPTION: False, EMBEDDING: True,
    }  # fmt: skip
    assert all(view.ttl == timedelta(days=1) for view in views.values())


def test_a_lake_with_profile_columns_has_the_profile_view_in_both_services(settings):
    write_inputs(settings, ["a"])
    definitions = define(settings.work)
    services = {s.name: [p.name for p in s.feature_view_projections] for s in definitions.services}

    assert services == {TRAINING_SERVICE: [*INPUT_VIEWS, DESCRIPTION], SERVING_SERVICE: list(INPUT_VIEWS)}


def test_a_lake_without_profile_columns_has_no_profile_view(settings):
    definitions = define(settings.work)

    assert PROFILE not in {v.name for v in definitions.views}
    assert all(PROFILE not in {p.name for p in s.feature_view_projections} for s in definitions.services)


def test_an_unreadable_profile_schema_is_refused(settings):
    settings.work.profile_schema.parent.mkdir(parents=True)
    settings.work.profile_schema.write_text('{"categorical": []}')

    with pytest.raises(
        FoundError, match=r"profile_schema\.json must be JSON with the lists `categorical` and `numeric`"
    ):
        define(settings.work)


def test_the_yaml_file_and_the_settings_give_the_same_configuration(settings, monkeypatch):
    monkeypatch.setenv("FOUND_WORKDIR", settings.workdir)

    by_file = FeatureStore(repo_path=str(ROOT / "feature_repo")).config
    by_settings = open_store(settings).config

    def dumped(config):
        return config.model_dump(by_alias=True, exclude={"repo_path"}) | {
            "online": config.online_store.model_dump(),
            "offline": config.offline_store.model_dump(),
            "registry": config.registry.path,
        }

    assert dumped(by_file) == dumped(by_settings)


def test_redis_is_chosen_by_settings_alone(settings):
    config = open_store(Settings(workdir=settings.workdir, online_store="redis", redis="cache:6379")).config

    assert (config.online_store.type, config.online_store.connection_string) == ("redis", "cache:6379")


def test_an_unknown_online_store_is_refused(settings):
    with pytest.raises(
        FoundError, match="online_store must be `sqlite` or `redis`, found 'mongo': set FOUND_ONLINE_STORE"
    ):
        open_store(Settings(workdir=settings.workdir, online_store="mongo"))


def test_materialised_users_are_looked_up_with_every_column(settings):
    write_inputs(settings, ["a", "b"])

    rows = materialize(settings, DS)
    found = online_columns(open_store(settings), ["b", "nobody", "a"])

    assert rows == {HISTORY: 2, SEARCHES: 2, PROFILE: 2, ACTIVITY: 2}
    assert found["user_id"] == ["b", "nobody", "a"]
    assert found["found"] == [True, False, True]
    assert (found["profile__home city"], found["profile__spend"]) == (["city b", None, "city a"], [0.0, None, 0.0])
    for columns in CONTRACT.values():
        for c in columns:
            a, b = column(c, 2, 0).to_pylist()
            assert found[c.name] == [b, None, a]


def test_looking_up_nobody_gives_nobody(settings):
    write_inputs(settings, ["a"])
    materialize(settings, DS)

    assert online_columns(open_store(settings), []) == {"user_id": [], "found": []}


def test_materialising_a_day_replaces_its_users_and_leaves_the_others(settings):
    write_inputs(settings, ["a", "b"])
    write_inputs(settings, ["b", "c"], ds=date(2011, 6, 2), offset=50)

    materialize(settings, DS)
    materialize(settings, date(2011, 6, 2))
    found = online_columns(open_store(settings), ["a", "b", "c"])

    assert found["found"] == [True, True, True]
    assert found["profile__spend"] == [0.0, 50.0, 50.0]


def test_a_backfill_out_of_order_leaves_the_newest_day_online(settings, monkeypatch, capsys):
    write_inputs(settings, ["a", "b"])
    write_inputs(settings, ["b", "c"], ds=date(2011, 6, 2), offset=50)

    materialize(settings, date(2011, 6, 2))
    assert materialize(settings, DS) == {}
    monkeypatch.setenv("FOUND_WORKDIR", settings.workdir)
    assert main(["materialize", "--ds", "2011-06-01"]) == 0

    assert "a newer day than 2011-06-01 is online already" in capsys.readouterr().out
    assert online_columns(open_store(settings), ["b"])["profile__spend"] == [50.0]
    assert materialize(settings, DS, force=True)[HISTORY] == 2
    assert online_columns(open_store(settings), ["b"])["profile__spend"] == [0.0]


def test_materialising_twice_changes_nothing(settings):
    write_inputs(settings, ["a", "b"])
    materialize(settings, DS)
    once = online_columns(open_store(settings), ["a", "b"])

    materialize(settings, DS)

    assert online_columns(open_store(settings), ["a", "b"]) == once


def test_the_embedding_is_materialised_when_it_is_named(settings):
    write_inputs(settings, ["a"], profile=False)
    vector = pa.array([[0.5, -1.0, 2.0]], pa.list_(pa.float32()))
    keys, weights = pa.array([[7]], pa.list_(pa.int64())), pa.array([[1.5]], pa.list_(pa.float32()))
    own = {
        "vector": vector,
        "text_keys": keys,
        "text_weights": weights,
        "input_hash": pa.array(["h"]),
        "model_version": pa.array(["v1"]),
    }
    write_partition(settings, EMBEDDING, snapshot(["a"], own))

    assert materialize(settings, DS, [EMBEDDING]) == {EMBEDDING: 1}
    features = [f"{EMBEDDING}:{name}" for name in ("vector", "text_keys", "text_weights", "model_version")]
    stored = open_store(settings).get_online_features(features, [{"user_id": "a"}]).to_dict()
    assert stored == {
        "user_id": ["a"],
        "vector": [[0.5, -1.0, 2.0]],
        "text_keys": [[7]],
        "text_weights": [[1.5]],
        "model_version": ["v1"],
    }


@pytest.mark.parametrize("view", [DESCRIPTION, "nonsense"])
def test_a_view_that_is_not_online_is_refused(settings, view):
    write_inputs(settings, ["a"])

    with pytest.raises(
        FoundError, match=f"'{view}' is not an online feature view; these are: activity, embedding, his"
    ):
        materialize(settings, DS, [view])


def test_a_missing_partition_is_refused_before_anything_is_written(settings):
    write_inputs(settings, ["a"])

    with pytest.raises(
        FoundError, match=r"no features to materialise: .*history/ds=2011-06-03 has no part-\*\.parquet"
    ):
        materialize(settings, date(2011, 6, 3))
    assert online_columns(open_store(settings), ["a"])["found"] == [False]


def test_a_partition_that_holds_another_cutoff_is_refused(settings):
    write_inputs(settings, ["a"])
    values = {c.name: column(c, 1, 0) for c in CONTRACT[HISTORY]}
    write_partition(settings, HISTORY, snapshot(["a"], values, CUTOFF - timedelta(days=1)))

    with pytest.raises(FoundError, match=r"must hold the cut-off 2011-06-01 alone, found 2011-05-31"):
        materialize(settings, DS, [HISTORY])


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # ibis lags behind duckdb
def test_the_local_offline_store_reads_linked_partitions_as_of_a_day(settings):
    import pandas as pd

    write_inputs(settings, ["a"])
    write_inputs(settings, ["a"], ds=date(2011, 7, 1), offset=10)
    times = pd.to_datetime(["2011-06-01", "2011-07-01", "2011-08-01"], utc=True)
    entities = pd.DataFrame({"user_id": ["a"] * 3, "event_timestamp": times})

    joined = apply(settings).get_historical_features(entities, [f"{PROFILE}:spend"]).to_df()

    spend = joined.sort_values("event_timestamp")["spend"]
    assert spend.iloc[:2].tolist() == [0.0, 10.0]
    assert np.isnan(spend.iloc[2]), "a snapshot of another day is stale"


def run(arguments: list[str], settings: Settings) -> subprocess.CompletedProcess:
    environment = {**os.environ, "FOUND_WORKDIR": settings.workdir}
    return subprocess.run(arguments, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_a_fresh_process_finds_what_the_command_lines_registered_and_loaded(settings):
    write_inputs(settings, ["a"])

    applied = run(["feast", "-c", "feature_repo", "apply"], settings)
    loaded = run([sys.executable, "-m", "feature_repo.store", "materialize", "--ds", "2011-06-01"], settings)
    script = (
        "from feast import FeatureStore; from feature_repo.contracts.names import SERVING_SERVICE as s;"
        "store = FeatureStore(repo_path='feature_repo');"
        "print(store.get_online_features(store.get_feature_service(s), [{'user_id': 'a'}],"
        " full_feature_names=True).to_dict()['profile__home city'])"
    )
    found = run([sys.executable, "-c", script], settings)

    assert applied.returncode == 0, applied.stderr
    assert "feature service" in applied.stdout and SERVING_SERVICE in applied.stdout
    assert "materialised 1 rows of history for 2011-06-01" in loaded.stdout, loaded.stderr
    assert found.stdout.strip() == "['city a']", found.stderr


def test_the_command_line_names_what_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("FOUND_WORKDIR", raising=False)
    monkeypatch.chdir(tmp_path)

    assert main(["apply"]) == 2
    assert capsys.readouterr().err.startswith("error: missing settings: workdir.")


def test_the_command_line_registers_and_loads_the_named_views(settings, monkeypatch, capsys):
    write_inputs(settings, ["a", "b"])
    monkeypatch.setenv("FOUND_WORKDIR", settings.workdir)

    assert main(["apply"]) == 0
    assert main(["materialize", "--ds", "2011-06-01", "--views", "searches,activity"]) == 0
    assert "materialised 2 rows of searches" in capsys.readouterr().out


def days(*numbers: int) -> list[datetime]:
    return [CUTOFF + timedelta(days=n) for n in numbers]


def frame(spark, rows: list[tuple], schema: str):
    return spark.createDataFrame(rows, f"user_id string, event_timestamp timestamp, {schema}")


@pytest.fixture(scope="module")
def joined(spark):
    """Two views, three users: `a` has snapshots at both cut-offs, `b` at the first, `c` none."""
    t1, t2 = days(0, 30)
    entities = frame(spark, [(u, t, i) for i, u in enumerate("abc") for t in (t1, t2)], "number long")
    views = {
        HISTORY: frame(spark, [("a", t1, [1, 2]), ("a", t2, [3]), ("b", t1, [4])], "bills_text array<long>"),
        PROFILE: frame(spark, [("a", t1, "x"), ("a", t2, None), ("b", t1, "y")], "`home city` string"),
    }
    return {
        (r["user_id"], r["event_timestamp"].astimezone(UTC)): r for r in point_in_time(spark, entities, views).collect()
    }


def test_the_point_in_time_join_keeps_every_row_and_its_own_columns(joined):
    t1, t2 = days(0, 30)

    assert set(joined) == {(u, t) for u in "abc" for t in (t1, t2)}
    assert [joined[u, t1]["number"] for u in "abc"] == [0, 1, 2]


def test_the_point_in_time_join_takes_each_cutoff_s_own_snapshot_and_names_it(joined):
    t1, t2 = days(0, 30)

    assert [joined["a", t]["bills_text"] for t in (t1, t2)] == [[1, 2], [3]]
    assert [joined["a", t]["profile__home city"] for t in (t1, t2)] == ["x", None]
    assert [joined["a", t]["history_snapshot"] for t in (t1, t2)] == [int(t.timestamp()) for t in (t1, t2)]


def test_a_stale_snapshot_never_joins(joined):
    _, t2 = days(0, 30)

    assert (joined["b", t2]["bills_text"], joined["b", t2]["history_snapshot"]) == (None, None)
    assert (joined["c", t2]["profile__home city"], joined["c", t2]["profile_snapshot"]) == (None, None)


def test_a_snapshot_just_after_the_cutoff_does_not_join(spark):
    (t,) = days(0)
    views = {
        HISTORY: frame(spark, [("a", t + timedelta(microseconds=1), 1), ("b", t - timedelta(days=1), 1)], "n long")
    }

    rows = point_in_time(spark, frame(spark, [("a", t, 0), ("b", t, 0)], "k long"), views).collect()

    assert [row["history_snapshot"] for row in rows] == [None, None]


def test_the_machine_s_time_zone_does_not_move_the_join(spark, monkeypatch):
    t1, t2 = days(0, 30)
    rows = [("a", t1, 1), ("a", t2, 2)]
    for zone in ("America/Los_Angeles", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            entities = frame(spark, [(u, t, 0) for u, t, _ in rows], "k long")
            found = point_in_time(spark, entities, {HISTORY: frame(spark, rows, "n long")}).select("n").collect()
        finally:
            monkeypatch.undo()
            time.tzset()
        assert sorted(row["n"] for row in found) == [1, 2], zone


def test_an_entity_row_given_twice_is_refused(spark):
    (t,) = days(0)
    twice = frame(spark, [("a", t, 0), ("a", t, 1)], "k long")

    with pytest.raises(FoundError, match=r"must hold each user and cut-off once, found 'a' at 2011-06-01.* 2 times"):
        point_in_time(spark, twice, {HISTORY: frame(spark, [("a", t, 1)], "n long")})


def test_the_join_leaves_the_session_as_it_was(spark):
    (t,) = days(0)
    before = spark.conf.get("spark.sql.parser.quotedRegexColumnNames")

    point_in_time(spark, frame(spark, [("a", t, 0)], "k long"), {HISTORY: frame(spark, [("a", t, 1)], "n long")})

    assert spark.conf.get("spark.sql.parser.quotedRegexColumnNames") == before


def test_a_session_of_another_time_zone_is_refused(spark):
    (t,) = days(0)
    spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    try:
        with pytest.raises(FoundError, match="the Spark session's time zone must be UTC, found Europe/Berlin"):
            point_in_time(spark, frame(spark, [("a", t, 0)], "k long"), {})
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
