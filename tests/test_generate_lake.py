"""The generator of synthetic lakes: the same bytes again, one story in five sources, labels from true intents."""

import hashlib
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from feature_repo.contracts.events import EVENT_SOURCES, SOURCES, fields
from feature_repo.contracts.lake import parse_lake
from spark_jobs.synthetic.demands import TASKS
from spark_jobs.synthetic.habits import HABITS
from spark_jobs.synthetic.lake import write_lake
from spark_jobs.synthetic.life_events import LIFE_EVENTS
from spark_jobs.synthetic.people import LAPSE, intent_rows, person, profile_rows
from spark_jobs.synthetic.stories import EVENT_COLUMNS, events
from spark_jobs.synthetic.world import DAYS, ENDS, START

ROOT = Path(__file__).parents[1]
USERS, SEED = 400, 3


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "lake"
    write_lake(spark, out, users=USERS, seed=SEED)
    return out


@pytest.fixture(scope="module")
def lives() -> list[list[dict]]:
    """Of 150 people their events as dicts, with the hidden topic and intent."""
    return [
        [dict(zip(EVENT_COLUMNS, row, strict=True)) for row in events(SEED, i, person(SEED, i))] for i in range(150)
    ]


def table(lake: Path, name: str):
    return pq.read_table(lake / name)


def scenarios(lake: Path) -> list[dict]:
    return yaml.safe_load((lake / "scenarios" / "scenarios.yaml").read_text())


def start_of(scenario: dict) -> datetime:
    day = date.fromisoformat(scenario["cutoff"])
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_seed_gives_the_same_bytes_in_the_same_files(spark, lake, tmp_path):
    write_lake(spark, tmp_path / "again", users=USERS, seed=SEED)

    again = digest((tmp_path / "again").resolve())
    assert again == digest(lake.resolve())
    assert set(again) == {
        "lake.yaml", *(f"{source}/part-00000.parquet" for source in SOURCES),
        *(f"scenarios/{name}" for name in ("scenarios.yaml", "labels.parquet", "intents.parquet")),
    }  # fmt: skip


def test_a_user_s_life_depends_on_the_seed_and_the_user_alone():
    assert events(1, 7, person(1, 7)) == events(1, 7, person(1, 7))
    assert events(1, 7, person(1, 7)) != events(2, 7, person(2, 7))
    assert events(1, 7, person(1, 7)) != events(1, 8, person(1, 8))


def test_every_source_has_the_contract_s_columns_sorted_by_user_and_time(lake):
    for source in SOURCES:
        found = table(lake, source)
        names, known = found.column_names, [f.name for f in fields(source)]
        time = "valid_from" if source == "profiles" else "event_time"
        assert [n for n in names if n in known] == [n for n in known if n in names]
        assert {f.name for f in fields(source) if f.required} <= set(names)
        assert str(found.schema.field(time).type).startswith("timestamp[us, tz=UTC")
        keys = list(zip(found["user_id"].to_pylist(), found[time].to_pylist(), strict=True))
        assert keys == sorted(keys)


def test_the_description_is_a_lake_of_the_contract(lake):
    described = parse_lake(yaml.safe_load((lake / "lake.yaml").read_text()), str(lake))

    assert (described.sources, described.ends, described.currency) == (SOURCES, ENDS, "EUR")


def test_nothing_lies_outside_the_observed_time(lake):
    for source in EVENT_SOURCES:
        times = table(lake, source)["event_time"]
        assert pc.min(times).as_py() >= START
        assert pc.max(times).as_py() < ENDS


def test_a_lake_has_hundreds_of_events_per_user_and_few_distinct_texts(lake):
    counts = Counter(u for source in EVENT_SOURCES for u in table(lake, source)["user_id"].to_pylist())
    texts = 0
    for source, own in (
        ("bills", ["item", "category", "merchant", "status"]), ("clicks", ["page", "element"]),
        ("visits", ["title", "description", "app", "action"]), ("searches", ["query"]),
    ):  # fmt: skip
        texts += table(lake, source).select(own).group_by(own).aggregate([]).num_rows

    assert 150 <= sum(counts.values()) / USERS <= 400
    assert 1_000 <= texts <= 6_000


def test_people_differ_in_activity_and_some_join_late_or_leave(lives):
    people = [person(SEED, i) for i in range(150)]
    sizes = sorted(map(len, lives))

    assert sizes[-15] > 4 * sizes[15]
    assert 0.1 < sum(p.joined > 0 for p in people) / 150 < 0.5
    assert 0.05 < sum(p.left < DAYS for p in people) / 150 < 0.4


def test_a_purchase_that_was_searched_for_is_clicked_visited_and_bought_in_this_order(lives):
    bills = chains = in_order = 0
    for life in lives:
        for bill in (e for e in life if e["source"] == "bills" and e["intent"]):
            bills += 1
            steps = steps_before(bill, life)
            if set(steps) == {"searches", "clicks", "visits"}:
                chains += 1
                in_order += steps == ["searches", "clicks", "visits"]
    assert chains > 0.1 * bills
    assert in_order > 0.85 * chains, "the rest are two purchases of one good within days"


def steps_before(bill: dict, life: list[dict]) -> list[str]:
    """The sources of the events about the bill's good in the days before it, oldest first."""
    topic = next(t for t in (*HABITS, *LIFE_EVENTS) if t.category == bill["category"])
    good = next(g.name for g in goods_of(topic) if bill["item"].endswith(g.name))
    recent = (e for e in life if timedelta() < bill["event_time"] - e["event_time"] < timedelta(days=4.7))
    return [e["source"] for e in recent if e["source"] != "bills" and good in text_of(e)]


def text_of(event: dict) -> str:
    return str(event["query"] or event["page"] or event["title"]).lower()


def goods_of(topic) -> list:
    wares = topic.goods if hasattr(topic, "goods") else [g for stage in topic.stages for g in stage.goods]
    return sorted(wares, key=lambda g: -len(g.name))


def test_a_life_event_is_searched_and_read_about_before_it_is_paid_for(lives):
    early = total = 0
    for index, life in enumerate(lives):
        for happening in person(SEED, index).happenings:
            own = [e for e in life if e["intent"] == happening.event.name]
            spent = [e["event_time"] for e in own if e["source"] == "bills"]
            if happening.start < 0 or not spent:
                continue
            asked = [e["event_time"] for e in own if e["source"] in ("searches", "visits")]
            early += bool(asked) and min(asked) < min(spent)
            total += 1
    assert total > 50
    assert early / total > 0.9


def test_the_seasons_show(lives):
    picnic = Counter(e["event_time"].month for life in lives for e in life if e["intent"] == "picnic")
    gifts = Counter(e["event_time"].month for life in lives for e in life if e["intent"] == "gifts")

    assert sum(picnic[m] for m in (5, 6, 7, 8)) > 0.8 * picnic.total()
    assert gifts[11] + gifts[12] > 0.8 * gifts.total()


def test_most_payments_succeed_and_a_few_are_cancelled(lake):
    statuses = Counter(table(lake, "bills")["status"].to_pylist())

    assert set(statuses) == {"successful", "cancelled"}
    assert 0.02 < statuses["cancelled"] / statuses.total() < 0.1


def test_profiles_are_unique_and_some_change_with_life(lake):
    found = table(lake, "profiles")
    keys = list(zip(found["user_id"].to_pylist(), found["valid_from"].to_pylist(), strict=True))
    rows = Counter(user for user, _ in keys)

    assert len(set(keys)) == len(keys) and len(rows) == USERS
    assert 0.02 < sum(n == 2 for n in rows.values()) / USERS < 0.4
    assert 0 < found["income"].null_count < 0.3 * len(keys)


def test_behaviour_depends_on_the_profile():
    people = [person(SEED, i) for i in range(600)]

    def share(habit: str, group) -> float:
        chosen = [p for p in people if group(p)]
        return sum(habit in {t.name for t in p.habits} for p in chosen) / len(chosen)

    assert share("gaming", lambda p: p.age < 32) > 2 * share("gaming", lambda p: p.age > 57)
    assert share("school", lambda p: p.household == "family") > 2 * share("school", lambda p: p.household == "single")


def test_each_intent_has_several_demands_and_no_future_passes_the_end(lake):
    listed = scenarios(lake)

    assert len({s["id"] for s in listed}) == len(listed) == sum(len(t.demands) for t in TASKS)
    assert len({s["demand"] for s in listed}) == len(listed)
    assert all(len(t.demands) >= 3 for t in TASKS)
    assert {t.intent for t in TASKS} >= {e.name for e in LIFE_EVENTS} | {"picnic", LAPSE}
    for s in listed:
        assert start_of(s) + timedelta(days=s["horizon_days"]) <= ENDS
        assert set(s) == {"id", "domain", "demand", "cutoff", "horizon_days", "label_rule", "users", "base_rate"}


def test_base_rates_are_neither_tiny_nor_trivial(lake):
    assert {s["id"]: s["base_rate"] for s in scenarios(lake) if not 0.01 <= s["base_rate"] <= 0.6} == {}


def test_labels_have_one_row_per_scenario_and_candidate_in_two_splits(lake):
    found = table(lake, "scenarios/labels.parquet")
    keys = list(zip(found["scenario_id"].to_pylist(), found["user_id"].to_pylist(), strict=True))
    fit = found["split"].to_pylist().count("fit") / len(found)

    assert found.schema.field("label").type == "int8"
    assert set(found["split"].to_pylist()) == {"fit", "eval"} and 0.14 < fit < 0.26
    assert keys == sorted(set(keys))
    assert Counter(k for k, _ in keys) == {s["id"]: s["users"] for s in scenarios(lake)}
    assert not any(h and y for h, y in zip(found["hard"].to_pylist(), found["label"].to_pylist(), strict=True))


def test_labels_agree_with_the_true_intents_and_with_what_was_bought(lake):
    intents = {(r["user_id"], r["intent"]): r for r in table(lake, "scenarios/intents.parquet").to_pylist()}
    bought = [b for b in table(lake, "bills").to_pylist() if b["status"] == "successful"]
    category = {topic.name: topic.category for topic in (*HABITS, *LIFE_EVENTS)}
    labelled = table(lake, "scenarios/labels.parquet").to_pylist()
    for s in (s for s in scenarios(lake) if s["id"].endswith("_1")):
        intent, start = s["id"].removesuffix("_1"), start_of(s)
        end = start + timedelta(days=s["horizon_days"])
        within = [b for b in bought if start <= b["event_time"] < end]
        buyers = {b["user_id"] for b in within if b["category"] == category.get(intent, b["category"])}
        positive = {r["user_id"] for r in labelled if r["scenario_id"] == s["id"] and r["label"]}
        assert positive <= {user for user, name in intents if name == intent}
        if intent == LAPSE:
            assert not positive & buyers
        else:
            assert positive <= buyers
            assert all(
                intents[user, intent]["start"] < end and intents[user, intent]["end"] > start for user in positive
            )


def test_intents_are_those_of_the_people(lake):
    found = {tuple(row.values()) for row in table(lake, "scenarios/intents.parquet").to_pylist()}

    assert found == {row for i in range(USERS) for row in intent_rows(person(SEED, i))}


def test_the_profile_rows_are_those_of_the_people(lake):
    found = [tuple(row.values()) for row in table(lake, "profiles").to_pylist()]

    assert found == [row for i in range(USERS) for row in profile_rows(person(SEED, i))]


def test_the_lake_passes_the_validation(lake, spark):
    from feature_repo.contracts.settings import Settings
    from spark_jobs.lake import open_lake

    opened = open_lake(spark, Settings(lake=str(lake)))

    assert opened.ends == ENDS and opened.lake.sources == SOURCES


def test_the_command_refuses_a_lake_of_nobody(tmp_path):
    job = ROOT / "spark_jobs" / "generate_lake.py"
    none = subprocess.run(
        [sys.executable, job, "--users", "0", "--out", tmp_path / "lake"], capture_output=True, text=True, check=False
    )

    assert (none.returncode, none.stderr.splitlines()[-1]) == (2, "error: --users must be at least 1, found 0.")


def test_a_folder_that_is_not_a_generated_lake_is_left_alone(spark, tmp_path):
    from feature_repo.contracts.errors import FoundError

    (tmp_path / "mine").mkdir()
    with pytest.raises(FoundError, match="mine exists and was not published by FOUND: remove it"):
        write_lake(spark, tmp_path / "mine", users=1, seed=1)
