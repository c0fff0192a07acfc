"""What makes an evaluation worthless is refused or told: pairs that reach too far, columns that give labels away."""

import json
from datetime import date, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
from evaluated_run import scenario
from model_pairs import CUTOFFS, LATER, WINDOWS, some_users, write_pairs

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.templates import text_key
from model.evaluation.leaks import MOST_TEXTS, REVEALS, refuse_late_pairs, revealing
from model.evaluation.scenarios import Scenario

PROFILE = {"categorical": ["city", "tier"], "numeric": ["age"]}


def asked(cutoff):
    given = scenario(0, cutoff)
    return Scenario(given["id"], given["demand"], cutoff, given["horizon_days"], given["domain"])


def runs_with(tmp_path, *cutoffs):
    for cutoff in cutoffs:
        write_pairs(tmp_path / asked(cutoff).run / "pairs", rows_per_file=(6,) * 2)
    return tmp_path


def test_pairs_that_end_by_the_cut_off_are_no_leak(tmp_path):
    last_end = CUTOFFS[-1] + timedelta(days=WINDOWS["horizon_days"])
    refuse_late_pairs([asked(LATER)], runs_with(tmp_path, LATER))
    refuse_late_pairs([asked(last_end)], runs_with(tmp_path, last_end))
    refuse_late_pairs([asked(date(2000, 1, 1))], tmp_path)


def test_one_error_lists_every_window_that_passes_a_cut_off(tmp_path):
    early, earlier = date(2022, 9, 30), date(2022, 6, 15)
    with pytest.raises(FoundError) as refused:
        refuse_late_pairs([asked(early), asked(earlier), asked(LATER)], runs_with(tmp_path, early, earlier, LATER))
    assert str(refused.value) == (
        "training pairs reach past the cut-off of the scenarios that they are scored on; these futures end after it: "
        "2022-09-30_30d: [2022-09-01, 2022-10-01); 2022-06-15_30d: [2022-06-01, 2022-07-01); "
        "2022-06-15_30d: [2022-09-01, 2022-10-01). Build pairs that end by it (build_pairs.py --until CUTOFF), and "
        "train again."
    )


def test_rows_that_the_manifest_hides_are_seen(tmp_path):
    runs = runs_with(tmp_path, date(2022, 8, 1))
    path = tmp_path / "2022-08-01_30d" / "pairs" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"cutoffs": ["2022-03-01"]}))
    assert pq.read_table(path.parent / "pairs")["cutoff_day"].to_numpy().max() > 0
    with pytest.raises(FoundError, match=r"2022-08-01_30d: \[2022-09-01, 2022-10-01\)"):
        refuse_late_pairs([asked(date(2022, 8, 1))], runs)


def test_honest_columns_reveal_nothing():
    users = some_users(400)
    label = np.random.default_rng(0).integers(0, 2, 400)
    assert revealing(users, label, profile=PROFILE, texts={}) == []


@pytest.mark.parametrize("flipped", [False, True])
def test_a_label_that_was_joined_to_the_inputs_is_found_wherever_it_lies(flipped):
    users, rng = some_users(400), np.random.default_rng(1)
    label = rng.integers(0, 2, 400)
    told = 1 - label if flipped else label

    def found(**columns):
        return revealing({**users, **columns}, label, profile=PROFILE, texts={text_key("late payer"): "late payer"})

    number = users["profile_numbers"].copy()
    number[:, 0] = told + rng.normal(0, 0.01, 400)
    category = users["profile_categories"].copy()
    category[:, 1] = np.where(told, text_key("late payer"), text_key("gold"))
    ((name, area),) = found(profile_numbers=number)
    assert name == "age" and max(area, 1 - area) >= REVEALS and (area < 0.5) == flipped
    assert {name for name, _ in found(profile_categories=category)} >= {"tier: late payer"}
    ((name, _),) = found(spend=told * 5.0)
    assert name == "spend"
    text = users["visits_text"].copy()
    text[:, 0] = np.where(told, text_key("late payer"), text[:, 0])
    assert "visits: late payer" in {name for name, _ in found(visits_text=text)}


def test_a_null_is_a_value_like_any_other():
    users = some_users(200)
    label = np.arange(200) % 2
    number = np.where(label, np.nan, 1.0)[:, None].astype(np.float32)
    assert [name for name, _ in revealing({"profile_numbers": number}, label, profile=PROFILE, texts={})] == ["age"]
    assert MOST_TEXTS and users
