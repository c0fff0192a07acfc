"""How many were expected and did, and what chance alone makes of the calibration error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.calibration.size import expected
from model.evaluation.report.noted import noted
from model.evaluation.sizes import size_told


def people(users=4_000, seed=3):
    chance = np.random.default_rng(seed).beta(1, 4, users)
    return chance, (np.random.default_rng(seed + 1).random(users) < chance).astype(int)


def test_right_probabilities_measure_what_chance_makes_of_them():
    chance, label = people()
    told = size_told("lake/a", chance, label, 0.3)
    assert told["ece"] == pytest.approx(told["ece_by_chance"], rel=0.5)
    assert told["low"] < told["true"] < told["high"] and told["users"] == 4_000
    wrong = size_told("lake/a", np.clip(chance * 2, 0, 1), label, 0.3)
    assert wrong["ece"] > 3 * wrong["ece_by_chance"]


def test_the_size_is_the_one_that_answers_show():
    chance, label = people()
    told, shown = size_told("lake/a", chance, label, 0.4), expected(chance, len(chance), 0.4)
    assert (told["size"], told["low"], told["high"]) == (shown.size, shown.low, shown.high)
    assert told == size_told("lake/a", chance, label, 0.4), "the labels drawn are the scenario's own"


@given(st.floats(0, 2))
def test_a_demand_less_sure_has_a_wider_interval(spread):
    chance, label = people(200)
    narrow, wide = (size_told("lake/a", chance, label, s) for s in (spread, spread + 0.2))
    assert narrow["low"] >= wide["low"] and narrow["high"] <= wide["high"] and narrow["ece"] == wide["ece"]


def scenario(size, true, low, high):
    return {"size": size, "true": true, "low": low, "high": high, "ece": 0.04, "ece_by_chance": 0.02}


def test_the_report_counts_intervals_that_hold_over_scenarios_and_seeds():
    first = {"a": scenario(100, 80, 60, 120), "b": scenario(100, 20, 60, 120), "nobody": scenario(5, 0, 1, 9)}
    second = {"a": scenario(100, 90, 95, 120), "b": scenario(30, 20, 10, 40)}
    notes = {"shop": {"sizes-0": {"scenarios": first}, "sizes-1": {"scenarios": second}}}
    (section,) = [each for each in noted(notes, ["shop"]) if each.title == "How many will"]
    (row,) = section.tables[0].rows
    assert [cell.text for cell in row] == ["shop", "2", "1.38", "3 of 4 (75%)", "2 of 4 (50%)", "0.040", "0.020"]
