"""What became of stored audiences: the figures against loops, and the whole way from a window to the store."""

import json
from datetime import date
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audience_doubles import NOW, made, new
from factories import day, event, write_lake

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import NOTHING, text_key
from serving.audiences.backtest import backtest, main
from serving.audiences.counting import Clause, Counting, Need, stated, unknown
from serving.audiences.database import Database
from serving.audiences.errors import BacktestImpossible
from serving.audiences.measures import (
    Population,
    Realised,
    backtested,
    deciles,
    effect,
    newcombe,
    rate_and_wilson,
)
from serving.audiences.store import AudienceStore
from serving.cli import main as found

DS = "2022-01-11"
UNTIL = date(2022, 1, 21)


def realised(did: list[int], holdout: list[int] | None = None) -> Realised:
    users = len(did)
    chances = np.linspace(0.9, 0.1, users) if users else np.zeros(0)
    return Realised(chances, np.array(did, bool), np.array(holdout or [0] * users, bool))


# -- the figures


def test_rates_precision_and_lift_equal_their_definitions():
    did = [1] * 8 + [0] * 4 + [1] * 8 + [0] * 80
    told = backtested(realised(did), Population(1_000, 50), {"expected": 20.0, "low": 10, "high": 18})

    assert told["realised"] == {"count": 16, "users": 100, "rate": 0.16}
    assert told["predicted"] == {"expected": 20.0, "within": True, "factor": 1.25}
    assert (told["base_rate"], told["population"]) == (0.05, 1_000) and told["lift"] == pytest.approx(3.2)
    assert told["precision"] == {"10": 0.8, "50": 0.32, "100": 0.16}
    assert [d["rate"] for d in told["deciles"]] == [0.8, 0.8] + [0.0] * 8
    assert told["deciles"][0]["lift"] == pytest.approx(16) and told["effect"] is None
    assert sum(d["rate"] * d["users"] for d in told["deciles"]) == 16
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize("users", [0, 1, 7, 10, 23])
def test_deciles_hold_every_member_once_in_order_and_differ_by_one_at_most(users):
    told = deciles(realised([1] * users), 0.5)
    sizes = [d["users"] for d in told]
    assert sum(sizes) == users and len(told) == min(10, users)
    assert not sizes or max(sizes) - min(sizes) <= 1
    chances = [d["probability"] for d in told]
    assert chances == sorted(chances, reverse=True) and all(d["lift"] == 2.0 for d in told)


def test_nobody_and_nothing_are_no_division_by_zero():
    told = backtested(realised([]), Population(0, 0), {"expected": 0.0, "low": 0, "high": 0})
    assert told["realised"]["rate"] == 0.0 and told["lift"] is None and told["precision"] == {}
    told = backtested(realised([0, 0]), Population(5, 0), {"expected": 1.0, "low": 1, "high": 2})
    assert (
        told["predicted"] == {"expected": 1.0, "within": False, "factor": None} and told["deciles"][0]["lift"] is None
    )


def test_the_effect_is_the_difference_with_newcombe_s_interval():
    told = effect(realised([1] * 56 + [0] * 14 + [1] * 48 + [0] * 32, [0] * 70 + [1] * 80))

    assert told["treated"] == {"users": 70, "count": 56, "rate": 0.8}
    assert told["holdout"] == {"users": 80, "count": 48, "rate": 0.6}
    assert told["difference"] == pytest.approx(0.2) and told["enough"]
    # Newcombe 1998, table II, example (a), method 10: 56/70 - 48/80
    assert (round(told["low"], 4), round(told["high"], 4)) == (0.0524, 0.3339)


def test_wilson_solves_its_own_equation():
    z = NormalDist().inv_cdf(0.975)
    for count, users in ((0, 10), (3, 10), (10, 10), (56, 70)):
        rate, low, high = rate_and_wilson(count, users, level=0.95)
        for bound in {low, high} - {0.0, 1.0}:
            assert (rate - bound) ** 2 == pytest.approx(z * z * bound * (1 - bound) / users, abs=1e-12)
    assert rate_and_wilson(0, 0, level=0.95) == (0.0, 0.0, 1.0)
    assert newcombe((0, 0), (3, 5), level=0.95)[0] == pytest.approx(-1.0, abs=0.4)


def test_the_interval_of_an_effect_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    counts = zip(rng.binomial(400, 0.12, 2_000), rng.binomial(100, 0.10, 2_000), strict=True)
    bounds = [newcombe((int(a), 400), (int(b), 100), level=0.95) for a, b in counts]
    assert 0.93 <= np.mean([low <= 0.02 <= high for low, high in bounds]) <= 0.985


# -- from a window to the store


@pytest.fixture
def store(tmp_path):
    return AudienceStore(Database(Settings(workdir=str(tmp_path / "work")).work.audiences))


@pytest.fixture
def settings(tmp_path):
    return Settings(workdir=str(tmp_path / "work"), lake=str(tmp_path / "lake"))


def ready(store: AudienceStore, counting: Counting, **given) -> str:
    created, _ = store.create(new("June"), now=NOW)
    store.claim()
    told = {"users": 4, "ds": DS, "horizon_days": 10, "counting": counting.to_dict()} | given
    assert store.finish(created.id, made(**told))
    return created.id


def outcomes(settings: Settings, rows: dict[str, list[str]], *, population: int = 10, observed: bool = True):
    """A reader of the lake that finds these texts of these users."""

    def read(given: Settings) -> None:
        (asked,) = json.loads(settings.work.outcomes_asked.read_text())
        name = f"{asked['ds']}_{asked['horizon_days']}d"
        folder = settings.work.outcomes / name
        folder.mkdir(parents=True, exist_ok=True)
        pairs = [(user, text_key(text)) for user, texts in rows.items() for text in texts]
        columns = {"user_id": [user for user, _ in pairs], "text_key": [key for _, key in pairs]}
        pq.write_table(pa.table(columns), folder / "part-00000.parquet")
        window = {"observed": True, "population": population} if observed else {"observed": False}
        (settings.work.outcomes / "manifest.json").write_text(json.dumps({"windows": {name: window}}))

    return read


def test_what_the_members_did_is_stored_with_what_counted(store, settings):
    name = ready(store, stated(["tea", "mug"]), held_out=1)
    rows = {"u00000": ["tea"], "u00001": ["cake"], "u00003": ["mug", "tea"], "stranger": ["tea"]}

    (line,) = backtest(settings, until=UNTIL, read_lake=outcomes(settings, rows))

    kept = store.get(name).backtest
    assert kept["status"] == "measured" and kept["realised"] == {"count": 2, "users": 4, "rate": 0.5}
    assert (kept["base_rate"], kept["lift"]) == (0.3, pytest.approx(0.5 / 0.3))
    assert kept["effect"]["holdout"] == {"users": 1, "count": 1, "rate": 1.0} and not kept["effect"]["enough"]
    assert kept["counts"]["groups"][0][0]["needs"][0]["texts"] == ["tea", "mug"]
    assert line.startswith(f"{name}  June: measured: 2 of 4 did it, 1.0 were expected; of everybody 30.0%")
    assert backtest(settings, until=UNTIL, read_lake=outcomes(settings, {})) == []
    assert store.get(name).backtest == kept


def test_an_erased_member_and_a_deleted_audience_do_not_stop_the_others(store, settings):
    names = [ready(store, stated(["tea"])) for _ in range(3)]
    store.forget("u00003")
    read = outcomes(settings, {"u00000": ["tea"]})

    def read_while_one_is_deleted(given: Settings) -> None:
        read(given)
        store.delete(names[0])

    lines = backtest(settings, until=UNTIL, read_lake=read_while_one_is_deleted)

    assert lines[0] == f"{names[0]}  June: deleted meanwhile"
    assert [store.get(name).backtest["realised"]["users"] for name in names[1:]] == [3, 3]


def test_the_lake_is_asked_once_per_window_for_all_that_counts(store, settings):
    ready(store, stated(["tea"]))
    ready(store, stated(["mug"]))
    assert len(backtest(settings, until=UNTIL, read_lake=outcomes(settings, {}))) == 2
    (asked,) = json.loads(settings.work.outcomes_asked.read_text())
    assert asked == {
        "ds": DS,
        "horizon_days": 10,
        "gap_days": 0,
        "keys": sorted([text_key("tea"), text_key("mug")]),
    }


def test_where_not_doing_counts_whoever_did_nothing_of_it_did_it(store, settings):
    name = ready(store, Counting("rewritten", ((Clause("no tea", (Need(("tea",), negated=True),)),),)))
    backtest(settings, until=UNTIL, read_lake=outcomes(settings, {"u00001": ["tea"], "stranger": ["tea"]}))
    kept = store.get(name).backtest
    assert kept["realised"]["count"] == 3 and kept["base_rate"] == pytest.approx(8 / 10)


def test_what_cannot_be_counted_is_said_and_the_lake_is_not_read(store, settings):
    name = ready(store, unknown("seeds say nothing"))

    def never(_):
        raise AssertionError("the lake was read")

    (line,) = backtest(settings, until=UNTIL, read_lake=never)
    assert line == f"{name}  June: not measurable (seeds say nothing)"
    assert store.get(name).backtest == {"status": "not measurable", "reason": "seeds say nothing"}
    assert backtest(settings, until=UNTIL, read_lake=never) == []


def test_a_window_that_the_lake_does_not_reach_is_left_for_the_next_time(store, settings):
    name = ready(store, stated(["tea"]))
    (line,) = backtest(settings, until=UNTIL, read_lake=outcomes(settings, {}, observed=False))
    assert line == f"{name}  June: not observed yet (the lake does not reach the end of its window)"
    assert store.get(name).backtest is None
    (line,) = backtest(settings, until=UNTIL, read_lake=outcomes(settings, {"u00000": ["tea"]}))
    assert ": measured: 1 of 4" in line


def test_where_no_audience_was_ever_stored_nothing_is_made(tmp_path):
    assert backtest(Settings(workdir=str(tmp_path)), until=UNTIL) == [] and list(tmp_path.iterdir()) == []


def test_nothing_is_read_before_a_window_has_ended_or_without_a_lake(store, settings, tmp_path, capsys, monkeypatch):
    ready(store, stated(["tea"]))
    assert backtest(settings, until=date(2022, 1, 20)) == []
    assert found(["backtest", "--workdir", settings.workdir, "--until", "2022-01-20"]) == 0
    assert capsys.readouterr().out == "no audience's window has passed since the last time\n"
    monkeypatch.delenv("FOUND_LAKE", raising=False)
    without = Settings(workdir=settings.workdir)
    with pytest.raises(BacktestImpossible, match="1 windows have passed, but no lake is named to read them from"):
        backtest(without, until=UNTIL)
    assert main(["--ds", "2022-01-21", "--workdir", settings.workdir]) == 2
    assert "no lake is named" in capsys.readouterr().err
    with pytest.raises(FoundError, match=r"manifest.json must tell what happened in the windows"):
        backtest(settings, until=UNTIL, read_lake=lambda _: None)


@pytest.mark.slow
def test_the_command_reads_the_lake_by_spark(store, settings, capsys):
    """u00000 buys tea in the window, u00001 before it, everybody else does nothing."""
    items = [("u00000", 12, "tea"), ("u00001", 9, "tea"), ("u00000", 1, "x"), ("u00002", 1, "x"), ("u00003", 1, "x")]
    bills = [event("bills", user, day(at), item=item) for user, at, item in items]
    write_lake(Path(settings.lake), {"bills": bills}, ends="2022-02-01")
    tea, nothing = ready(store, stated(["tea"])), ready(store, stated([NOTHING]))

    assert found(["backtest", "--workdir", settings.workdir, "--lake", settings.lake, "--until", "2022-01-21"]) == 0

    assert "1 of 4 did it" in capsys.readouterr().out
    assert store.get(tea).backtest["realised"]["count"] == 1 and store.get(tea).backtest["population"] == 4
    assert store.get(nothing).backtest["realised"]["count"] == 3
