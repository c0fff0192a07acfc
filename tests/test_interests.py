"""Bags of interests in Spark equal a plain reading of the lake, over the full life, in flat memory."""

import json
from collections import Counter
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import day, event, story, write_lake
from test_features import late
from test_io import digests

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.names import INTERESTS_CONFIG
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.steps import INTERESTS, PROJECT
from feature_repo.contracts.templates import EVENT_TEMPLATES, TEMPLATE_VERSION, event_text, text_key
from feature_repo.contracts.windows import cutoff_instant
from model.lurm import bags as model_bags
from model.lurm.interests import write_interest_of_text
from spark_jobs import interests
from spark_jobs.build_interests import arguments, build_bags, build_texts
from spark_jobs.lake import open_lake

CUTOFFS = [date(2022, 2, 20), date(2022, 8, 1), date(2023, 3, 30)]
CLUSTERS = 7
VERSION = "seven"


def text_of(source, row) -> str:
    return event_text(EVENT_TEMPLATES[source], row)


def write_interests(folder: Path, of_text: dict[int, int], **told) -> Path:
    """What model.lurm.cluster leaves for Spark."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"version": VERSION, "template_version": TEMPLATE_VERSION, "clusters": CLUSTERS} | told
    (folder / INTERESTS_CONFIG).write_text(json.dumps(document))
    write_interest_of_text(folder, of_text)
    return folder


def modulo(tables) -> dict[int, int]:
    keys = {text_key(text_of(source, row)) for source in EVENT_SOURCES for row in tables.get(source, [])}
    return {key: key % CLUSTERS for key in keys}


def known_before(tables, ds: date) -> list[tuple[str, dict]]:
    """Every event known before ds, by event and arrival time, each once."""
    first: dict = {}
    for source in EVENT_SOURCES:
        for number, row in enumerate(tables.get(source, [])):
            at = max(row["event_time"], row.get("arrival_time") or row["event_time"])
            key = (source, row.get("event_id") or number)
            if key not in first or at < first[key][0]:
                first[key] = (at, source, row)
    return [(source, row) for at, source, row in first.values() if at < cutoff_instant(ds)]


def counted(tables, ds: date, period_days: int, first: date = date(1970, 1, 1)) -> Counter:
    found: Counter = Counter()
    for source, row in known_before(tables, ds):
        if row["event_time"] >= cutoff_instant(first):
            ago = ((ds - row["event_time"].date()).days - 1) // period_days
            found[row["user_id"], ago, text_key(text_of(source, row)) % CLUSTERS] += 1
    return found


def entries(out: Path) -> Counter:
    """{(user, periods ago, interest): count} of a folder; each bag is there once, in ascending order."""
    rows = pq.read_table(str(out / "bags")).to_pylist()
    assert len({(row["user_id"], row["periods_ago"]) for row in rows}) == len(rows)
    found: Counter = Counter()
    for row in rows:
        assert row["interests"] == sorted(set(row["interests"]))
        for interest, count in zip(row["interests"], row["counts"], strict=True):
            found[row["user_id"], row["periods_ago"], interest] += count
    return found


@pytest.fixture(scope="module")
def tables():
    return {source: rows for source, rows in late(story()).items() if source in ("bills", "searches")}


@pytest.fixture(scope="module")
def lake(tables, tmp_path_factory):
    return write_lake(tmp_path_factory.mktemp("interests") / "lake", tables)


@pytest.fixture(scope="module")
def clusters(tables, tmp_path_factory):
    return write_interests(tmp_path_factory.mktemp("clusters") / VERSION, modulo(tables))


@pytest.fixture(scope="module")
def built(spark, lake, clusters, tmp_path_factory):
    """Builds the bags of the story as of a ds, once for the same options; returns their folder."""

    @cache
    def build(ds: date, period_days: int, first: date | None = None) -> Path:
        out = tmp_path_factory.mktemp("built") / "bags"
        settings = Settings(lake=str(lake))
        build_bags(spark, settings, ds=ds, first=first, period_days=period_days, clusters=clusters, out=out)
        return out

    return build


RUNS = [(CUTOFFS[0], 7), (CUTOFFS[1], 14, date(2022, 2, 1)), (CUTOFFS[2], 30)]


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_bags_count_every_known_event_of_the_full_life(tables, built, run):
    expected = counted(tables, *run)

    assert entries(built(*run)) == expected and expected


def test_the_manifest_tells_what_was_counted(tables, built):
    expected = counted(tables, *RUNS[1])

    assert json.loads((built(*RUNS[1]) / "manifest.json").read_text()) == {
        "template_version": TEMPLATE_VERSION,
        "lake": "lake",
        "ds": "2022-08-01",
        "from": "2022-02-01",
        "period_days": 14,
        "interests": VERSION,
        "clusters": CLUSTERS,
        "users": len({user for user, _, _ in expected}),
        "events": sum(expected.values()),
        "rows": len({(user, ago) for user, ago, _ in expected}),
    }


def test_the_bag_of_a_longer_period_is_the_sum_of_the_shorter_ones(built):
    short, long = (model_bags.open_bags(built(CUTOFFS[2], n), interests=VERSION).read() for n in (10, 30))

    for name, values in vars(short.merged(3)).items():
        np.testing.assert_array_equal(values, getattr(long, name), err_msg=name)


def test_two_adjoining_runs_add_up_to_one(spark, tmp_path):
    """[a, c) is [a, b) and [b, c), where nothing arrives late."""
    rows = {"searches": story()["searches"]}
    lake = open_lake(spark, Settings(lake=str(write_lake(tmp_path / "lake", rows))))
    of_text = spark.createDataFrame(list(modulo(rows).items()), "text_key bigint, interest int")
    a, b, c = date(2022, 1, 9), date(2022, 6, 13), CUTOFFS[2]
    found = {}
    for first, ds in ((a, c), (a, b), (b, c)):
        events = interests.known_events(lake, first=first, ds=ds, partitions=2)
        bags = interests.bags(interests.text_counts(events, ds=ds, period_days=1_000), of_text).collect()
        found[first, ds] = Counter({(r.user_id, i): n for r in bags for i, n in zip(*r[2:], strict=True)})

    assert found[a, c] == found[a, b] + found[b, c] and found[a, b] and found[b, c]


def test_what_happens_or_arrives_at_the_cutoff_or_later_changes_no_byte(spark, tables, built, clusters, tmp_path):
    """Nor does a second run: the lake of another future is read anew."""
    ds, period_days = RUNS[0]
    before = {s: [r for source, r in known_before(tables, ds) if source == s] for s in tables}
    later = [event("searches", "u001", cutoff_instant(ds) - timedelta(days=n), query="buy tent") for n in (0, 1)]
    later[1]["arrival_time"] = cutoff_instant(ds)
    lake = write_lake(tmp_path / "lake", before | {"searches": before["searches"] + later})
    settings, out = Settings(lake=str(lake)), tmp_path / "past"
    build_bags(spark, settings, ds=ds, period_days=period_days, clusters=clusters, out=out)

    assert digests(out) == digests(built(ds, period_days)) and len(digests(out)) == 2


def test_texts_are_those_of_every_event_known_before_the_cutoff(spark, tables, lake, tmp_path):
    ds = CUTOFFS[0]
    build_texts(spark, Settings(lake=str(lake)), ds=ds, out=tmp_path / "texts")

    table = pq.read_table(str(tmp_path / "texts"))
    expected = {text_key(text): text for source, row in known_before(tables, ds) for text in [text_of(source, row)]}
    assert dict(zip(table["text_key"].to_pylist(), table["text"].to_pylist(), strict=True)) == expected
    assert table["text_key"].to_pylist() == sorted(expected)


def test_a_hundred_thousand_events_of_one_user_are_bags_of_at_most_k_interests(spark, tmp_path):
    """Counts are collected, not events: an array is no longer than the distinct interests of its period."""
    events, items, most = 100_000, 2_000, 100_000
    random = np.random.default_rng(3)
    item, age = random.integers(0, items, events), random.integers(0, 300, events)
    (tmp_path / "lake" / "bills").mkdir(parents=True)
    times = pa.array([day(float(a)) for a in age], pa.timestamp("us", tz="UTC"))
    columns = {"user_id": ["heavy"] * events, "event_time": times, "item": [f"item {i}" for i in item]}
    pq.write_table(pa.table(columns), tmp_path / "lake" / "bills" / "part-00000.parquet")
    (tmp_path / "lake" / "lake.yaml").write_text("name: heavy\nsources: [bills]\n")
    of_text = {text_key(f"item {i}"): (i * 49_999) % most for i in range(items)}
    clusters = write_interests(tmp_path / "clusters", of_text, clusters=most)

    build_bags(
        spark, Settings(lake=str(tmp_path / "lake")), ds=day(300).date(), clusters=clusters, out=tmp_path / "bags"
    )

    bags = model_bags.open_bags(tmp_path / "bags", interests=VERSION).read()
    expected = Counter(zip(((299 - age) // 30).tolist(), ((item * 49_999) % most).tolist(), strict=True))
    assert bags.count_N.sum() == events and bags.users == ("heavy",)
    assert np.bincount(bags.ago_N).max() <= items
    assert dict(zip(zip(bags.ago_N, bags.interest_N, strict=True), bags.count_N, strict=True)) == expected


class TestRefusals:
    """What cannot be counted is named, and nothing is published."""

    def refused(self, spark, lake, clusters, tmp_path, **options) -> str:
        chosen = {"ds": CUTOFFS[0], "clusters": clusters, "out": tmp_path / "o"} | options
        with pytest.raises(FoundError) as error:
            build_bags(spark, Settings(lake=str(lake)), **chosen)
        assert not (tmp_path / "o").exists()
        return str(error.value)

    def test_texts_without_an_interest(self, spark, lake, tables, tmp_path):
        of_text = modulo(tables)
        lost = [text_key(text_of(*known_before(tables, CUTOFFS[0])[0]))]
        clusters = write_interests(tmp_path / "clusters", {k: v for k, v in of_text.items() if k not in lost})

        assert self.refused(spark, lake, clusters, tmp_path) == (
            "1 texts have no interest: run `build_interests.py texts` for this ds, then "
            "`python -m model.lurm.cluster assign`."
        )

    def test_no_interests(self, spark, lake, tmp_path):
        assert self.refused(spark, lake, tmp_path / "none", tmp_path) == (
            f"no interests in {tmp_path / 'none'}: run `python -m model.lurm.cluster fit` first."
        )

    def test_interests_of_another_template_version(self, spark, lake, tmp_path):
        clusters = write_interests(tmp_path / "clusters", {}, template_version=0)

        assert self.refused(spark, lake, clusters, tmp_path) == (
            f"the interests in {clusters} are of template version 0, this code renders version {TEMPLATE_VERSION}: run "
            "`python -m model.lurm.cluster fit` again."
        )

    def test_a_period_of_no_day(self, spark, lake, clusters, tmp_path):
        told = self.refused(spark, lake, clusters, tmp_path, period_days=0)

        assert told == "a period has at least 1 day, found --period-days 0."

    def test_a_start_after_every_known_event(self, spark, lake, clusters, tmp_path):
        told = self.refused(spark, lake, clusters, tmp_path, first=CUTOFFS[0])

        assert told.startswith("no event of lake is known before 2022-02-20 from 2022-02-20 on: its first event is at ")
        assert told.endswith(" UTC. Choose a later cut-off.")

    def test_texts_before_every_event(self, spark, lake, tmp_path):
        with pytest.raises(FoundError, match="no event of lake is known before 2021-01-01: its first"):
            build_texts(spark, Settings(lake=str(lake)), ds=date(2021, 1, 1), out=tmp_path / "texts")
        assert not (tmp_path / "texts").exists()


def test_the_steps_of_lurm_are_commands_that_exist():
    values = {"ds": "2022-08-01", "clusters": "100", "period_days": "30"}
    spark_steps = [step for step in INTERESTS if step.command[0] == "spark-submit"]

    for step in spark_steps:
        command, job, *rest = step.argv(values)
        assert (command, Path(job)) == ("spark-submit", PROJECT / "spark_jobs" / "build_interests.py")
        assert arguments().parse_args(rest).ds == "2022-08-01"
    modules = [step.argv(values)[2] for step in INTERESTS if step not in spark_steps]
    assert all((PROJECT / f"{module.replace('.', '/')}.py").is_file() for module in modules) and len(modules) == 3
