"""Training pairs: the dataset's promises, checked on a tiny lake against the contract."""

import json
import os
import random
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import day, event, story, write_lake
from test_io import digests

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.inputs import Lengths, pair_columns
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import NOTHING, descriptions, summaries, text_key
from feature_repo.contracts.windows import Windows, cutoff_instant
from spark_jobs.build_pairs import build_pairs
from spark_jobs.pairs import PairWriter, chosen_cutoffs

ROOT = Path(__file__).parents[1]
ARROW = {"int64": pa.int64(), "int32": pa.int32(), "float32": pa.float32()}
OPTIONS = {"cutoffs": "2022-05-01:2022-11-01:30", "horizon_days": 60, "gap_days": 5}
ENDS = "2023-01-01"
SIZES = {"max_events": 8, "max_searches": 4, "max_future": 32}


def built(spark, lake: Path, out: Path, **settings) -> dict:
    chosen = Settings(**{"lake": str(lake)} | OPTIONS | SIZES | settings)
    build_pairs(spark, chosen, chosen.windows, out=out)
    return json.loads((out / "manifest.json").read_text())


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return write_lake(tmp_path_factory.mktemp("lakes") / "tiny", story(), currency="EUR")


@pytest.fixture(scope="module")
def out(spark, lake, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "pairs"
    built(spark, lake, folder)
    return folder


@pytest.fixture(scope="module")
def pairs(out):
    return pq.read_table(out / "pairs").to_pylist()


def manifest(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text())


def test_the_manifest_tells_what_the_dataset_is(out, pairs):
    told = manifest(out)

    assert told["windows"] == {"history_days": 730, "horizon_days": 60, "gap_days": 5}
    assert told["lengths"] == {"events": 8, "searches": 4, "future": 32}
    assert told["profile"] == {"categorical": ["city"], "numeric": ["age"]}
    assert (told["lake"], told["currency"], told["rows"], told["files"]) == ("tiny", "EUR", len(pairs), 16)
    assert told["cutoffs"] == [str(date(2022, 5, 1) + timedelta(days=30 * n)) for n in range(7)]


def test_files_have_the_contract_s_columns_one_row_group_and_rows_that_differ_by_one_at_most(out, pairs):
    files = sorted((out / "pairs").iterdir())
    sizes = [pq.read_metadata(file).num_rows for file in files]

    assert [file.name for file in files] == [f"part-{n:05d}.parquet" for n in range(16)]
    assert {pq.read_metadata(file).num_row_groups for file in files} == {1}
    assert max(sizes) - min(sizes) <= 1
    columns = pair_columns(Lengths(events=8, searches=4, future=32), categorical=1, numeric=1)
    schema = pq.read_schema(files[0])
    assert schema.names == [c.name for c in columns]
    for column in columns:
        kind = schema.field(column.name).type
        assert (kind if column.length is None else kind.value_type) == ARROW[column.kind], column.name
        if column.length is not None:
            assert {len(row[column.name]) for row in pairs} == {column.length}, column.name


def happenings(user: str, window) -> list[tuple[str, dict]]:
    tables = story()
    return [(s, r) for s in EVENT_SOURCES for r in tables[s] if r["user_id"] == user and r["event_time"] in window]


def test_every_pair_s_future_is_the_summary_of_what_followed(out, pairs):
    users = {text_key(f"u{n:03d}"): f"u{n:03d}" for n in range(24)}
    windows = Windows(history_days=730, horizon_days=60, gap_days=5)
    idle = 0
    for row in pairs:
        cutoff = cutoff_instant(date(1970, 1, 1) + timedelta(days=row["cutoff_day"]))
        future = happenings(users[row["user_key"]], windows.future(cutoff))
        told = set(row["future_text"][: row["future_length"]])
        assert {text_key(s) for s in summaries(future, "EUR")} <= told
        assert (told == {text_key(NOTHING)}) == (not future)
        idle += not future

    assert 0 < idle < len(pairs), "users with an empty future are kept"


def test_every_known_user_is_there_once_per_cutoff(out, pairs):
    tables = story()
    expected = set()
    for text in manifest(out)["cutoffs"]:
        t = cutoff_instant(text)
        known = {r["user_id"] for s in EVENT_SOURCES for r in tables[s] if r["event_time"] < t}
        known |= {r["user_id"] for r in tables["profiles"] if r["valid_from"] < t}
        expected |= {(text_key(user), (t.date() - date(1970, 1, 1)).days) for user in known}

    assert {(row["user_key"], row["cutoff_day"]) for row in pairs} == expected
    assert len(pairs) == len(expected)


def test_texts_name_every_key_of_the_pairs(out, pairs):
    table = pq.read_table(out / "texts" / "part-00000.parquet").to_pydict()
    used = {key for row in pairs for name in row if name.endswith("_text") for key in row[name]}
    used |= {key for row in pairs for key in row["profile_categories"]}

    assert table["text_key"] == sorted(table["text_key"])
    assert set(table["text_key"]) == (used - {0}) | {text_key(NOTHING)}
    assert all(text_key(text) == key for key, text in zip(*table.values(), strict=True))


def test_profiles_are_keys_and_numbers_with_nan_for_null(pairs):
    cities = {0, text_key("Rome"), text_key("Oslo")}

    assert {row["profile_categories"][0] for row in pairs} == cities
    assert {row["profile_numbers"][0] for row in pairs if row["profile_numbers"][0] == row["profile_numbers"][0]}
    assert any(row["profile_numbers"][0] != row["profile_numbers"][0] for row in pairs), "users without a profile"


def test_descriptions_are_a_view_beside_the_inputs(out):
    windows = Windows(history_days=730, horizon_days=60, gap_days=5)
    ds = date(2022, 5, 31)
    rows = pq.read_table(out / "features" / "description" / f"ds={ds}" / "part-00000.parquet").to_pylist()

    for row in rows:
        expected = descriptions(happenings(row["user_id"], windows.future(cutoff_instant(ds))), "EUR")
        assert {kind: row[kind] for kind in expected} == expected
    assert {row["event_timestamp"] for row in rows} == {cutoff_instant(ds)}


def test_another_run_in_another_process_leaves_the_same_bytes(lake, out, tmp_path):
    options = [f"--{name.replace('_', '-')}={value}" for name, value in (OPTIONS | SIZES).items()]
    job = ["spark-submit", "spark_jobs/build_pairs.py", "--lake", str(lake), "--out", str(tmp_path / "pairs"), *options]

    done = subprocess.run(job, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "pairs") == digests(out)
    assert done.stdout.splitlines()[-1] == f"pairs: {manifest(out)['rows']} rows in 16 files"


def test_of_more_rows_than_max_pairs_the_same_sample_is_kept(spark, lake, out, tmp_path, pairs):
    told = built(spark, lake, tmp_path / "pairs", max_pairs=20)

    rows = pq.read_table(tmp_path / "pairs" / "pairs").to_pylist()
    whole = {(row["user_key"], row["cutoff_day"]): row for row in pairs}
    assert told["rows"] == len(rows) == 20
    assert all(str(row) == str(whole[row["user_key"], row["cutoff_day"]]) for row in rows), "the same rows, fewer"
    snapshots = pq.read_table(tmp_path / "pairs" / "features" / "history", partitioning=None)
    assert snapshots.num_rows == 20, "only the sampled users' snapshots are built"


def test_fewer_rows_than_files_give_a_file_each(spark, tmp_path):
    lake = write_lake(tmp_path / "lake", {"clicks": [event("clicks", f"u{n}", day(n)) for n in range(5)]}, ends=ENDS)

    told = built(spark, lake, tmp_path / "pairs", cutoffs="2022-02-01", gap_days=0)

    assert (told["rows"], told["files"]) == (5, 5)
    assert told["profile"] == {"categorical": [], "numeric": []}


def test_a_pair_whose_snapshot_is_of_another_time_is_refused(spark, lake, tmp_path, monkeypatch):
    joined = PairWriter._joined
    monkeypatch.setattr(PairWriter, "_joined", lambda self, entities: joined(self, entities.filter("rank > 2")))

    with pytest.raises(FoundError) as error:
        built(spark, lake, tmp_path / "pairs", max_pairs=20)

    assert str(error.value) == (
        "20 pairs were asked for, but only 17 found their snapshot of exactly their cut-off: "
        "the feature views and the pairs disagree. Nothing is published."
    )
    assert not (tmp_path / "pairs").exists()


class TestCutoffs:
    """No training pair's future passes `ends`."""

    def test_random_lakes_never_get_an_unobserved_future(self):
        rng = random.Random(5)
        for _ in range(1_000):
            first = day(rng.random() * 100)
            ends = first + timedelta(days=rng.uniform(3, 900))
            windows = Windows(rng.randint(1, 800), rng.randint(1, 365), rng.choice([0, 0, 7]))
            try:
                cutoffs = chosen_cutoffs(f"auto:{rng.randint(1, 30)}", first_event=first, ends=ends, windows=windows)
            except FoundError as error:
                assert "no training cut-off fits" in str(error)
                continue
            assert all(windows.future(cutoff_instant(t)).end <= ends for t in cutoffs)
            assert all(cutoff_instant(t) > first for t in cutoffs)

    def test_explicit_cutoffs_past_the_end_are_refused(self):
        with pytest.raises(FoundError, match=r"the future of cut-off 2022-12-02 is .* but the lake is observed only"):
            chosen_cutoffs(
                "2022-11-02:2022-12-02:30",
                first_event=day(0),
                ends=datetime(2023, 1, 1, tzinfo=UTC),
                windows=Windows(100, 31),
            )

    @pytest.mark.parametrize("text", ["auto:0", "auto:x", "auto:-1"])
    def test_a_strange_count_is_refused(self, text):
        with pytest.raises(FoundError) as error:
            chosen_cutoffs(text, first_event=day(0), ends=day(400), windows=Windows(100, 31))
        assert str(error.value) == f"automatic cut-offs are auto or auto:COUNT with COUNT >= 1, found {text!r}."

    def test_until_caps_the_futures(self, spark, lake, tmp_path):
        settings = Settings(lake=str(lake), cutoffs="auto:2", horizon_days=60, max_pairs=10, **SIZES)

        build_pairs(spark, settings, settings.windows, out=tmp_path / "pairs", until=date(2022, 9, 1))

        assert manifest(tmp_path / "pairs")["cutoffs"][-1] == "2022-07-03"

    def test_cutoffs_before_every_user_are_refused(self, spark, tmp_path):
        rows = [event("clicks", "u1", day(40)), event("clicks", "u1", day(200))]
        lake = write_lake(tmp_path / "shop", {"clicks": rows})

        with pytest.raises(FoundError) as error:
            built(spark, lake, tmp_path / "pairs", cutoffs="2022-01-05")

        assert str(error.value) == (
            "no user of shop is known before the cut-offs 2022-01-05 to 2022-01-05: its first event is at "
            "2022-02-10 00:00 UTC. Choose later cut-offs."
        )


def test_the_bare_command_names_every_missing_setting(tmp_path):
    job = [sys.executable, str(ROOT / "spark_jobs/build_pairs.py")]

    without = {name: value for name, value in os.environ.items() if not name.startswith("FOUND_")}

    done = subprocess.run(job, cwd=tmp_path, env=without, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith("error: missing settings: lake, workdir, cutoffs, horizon_days. Give --lake or ")
    assert len(done.stderr.splitlines()) == 1
