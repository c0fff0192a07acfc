"""Results are kept whole or not at all, never taken for another's, and suffice for means and paired differences."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from made_results import LAKES, SCENARIOS, WORTH, candidates, fingerprint, result, results, wanted

from feature_repo.contracts.errors import FoundError
from model.evaluation.bootstrap import interval, weightings
from model.evaluation.comparison import by_method, difference, summarise
from model.evaluation.measures import Candidates, mean_over, measure
from model.evaluation.ranking import auc_R, rank
from model.evaluation.results import (
    Fingerprint,
    Result,
    Wanted,
    digest,
    digest_files,
    pending,
    read,
    read_all,
    write,
)


@pytest.fixture
def folder(tmp_path):
    for one in results():
        write(tmp_path, one)
    return tmp_path


# files


def test_what_is_written_is_read_back(tmp_path):
    given = result("found", "shop", 2)
    path = write(tmp_path, given)
    back = read(path, given.what)

    assert path == tmp_path / "shop" / "found.2.json"
    assert (back.what, back.wall_seconds, back.absent) == (given.what, 5.25, "")
    assert list(back.scenarios) == list(SCENARIOS["shop"])
    for name, kept in given.scenarios.items():
        again = back.scenarios[name]
        assert (again.users, again.positives, again.candidates) == (kept.users, kept.positives, kept.candidates)
        assert (again.lift, again.calibration) == (kept.lift, kept.calibration)
        assert again.measures.keys() == kept.measures.keys()
        for measure_name, value in kept.measures.items():
            assert again.measures[measure_name].value == pytest.approx(value.value, abs=1e-6)
            assert len(again.measures[measure_name].replicate_R) == (50 if measure_name == "auc" else 0)
    assert {name: len(one.replicate_R) for name, one in back.overall.items()} == dict.fromkeys(given.overall, 50)


def test_a_file_is_small(tmp_path):
    given = result("found", "shop")
    full = {
        name: measure(
            candidates("shop", name)[0], dict(zip(candidates("shop", name)[0].users, range(400), strict=True))
        )
        for name in SCENARIOS["shop"]
    }
    kept = write(tmp_path, replace(given, scenarios=full)).stat().st_size

    assert kept / len(full) < 2_000  # eight measures, one of them with 200 replicates


def test_the_same_result_is_the_same_bytes(tmp_path):
    one, other = (write(tmp_path / name, result("found", "shop")) for name in "ab")

    assert one.read_bytes() == other.read_bytes()


def test_a_killed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(tmp_path, result("found", "shop"))
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, replace(result("found", "shop"), wall_seconds=9.0))

    assert path.read_bytes() == before
    assert len(read_all(tmp_path)) == 1  # the unfinished one is none


def test_a_file_of_another_version_is_refused(tmp_path):
    path = write(tmp_path, result("found", "shop"))
    path.write_text(path.read_text().replace('"version":2', '"version":7'))

    with pytest.raises(FoundError, match=r"found\.0\.json is of version 7, this code reads 2: delete it, and it is"):
        read(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "7"])
def test_a_file_that_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)

    with pytest.raises(FoundError, match=r"x\.json holds no result \(.*\): delete it, and it is computed again"):
        read(path)


def test_a_file_with_a_part_missing_is_refused(tmp_path):
    path = write(tmp_path, result("found", "shop"))
    told = json.loads(path.read_text())
    del told["scenarios"]["buys tea"]["lift"]
    path.write_text(json.dumps(told))

    with pytest.raises(FoundError, match=r"found\.0\.json is incomplete \(TypeError\(.*lift.*\)\): delete it"):
        read(path)


@pytest.mark.parametrize("part", ["data", "code", "recipe"])
def test_another_fingerprint_is_refused_by_the_part_that_differs(tmp_path, part):
    path = write(tmp_path, result("found", "shop"))
    known = fingerprint("found", "shop")
    expected = replace(wanted("found", "shop"), fingerprint=replace(known, **{part: "new"}))

    found = getattr(known, part)
    with pytest.raises(FoundError, match=rf"of another {part} \(found '{found}', expected 'new'\): compute it again\."):
        read(path, expected)


def test_another_seed_is_refused(tmp_path):
    path = write(tmp_path, result("found", "shop"))

    with pytest.raises(FoundError, match=r"of another seed \(found 0, expected 3\)"):
        read(path, wanted("found", "shop", 3))


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", "a.1"])
def test_a_name_that_would_be_another_path_is_refused(name):
    with pytest.raises(FoundError, match=r"named by letters, digits, _, \+ and -; found "):
        Wanted(name, "shop", 0, Fingerprint("", "", ""))


def test_what_has_a_valid_file_is_not_pending(folder):
    every = [wanted(method, lake) for method in WORTH for lake in LAKES]
    stale = replace(wanted("heuristic", "films"), fingerprint=Fingerprint("", "", ""))
    wanted("recency", "shop").path(folder).unlink()
    wanted("msdp", "shop").path(folder).write_text("half a fi")
    asked = [stale if one == wanted("heuristic", "films") else one for one in every]

    assert pending(folder, asked) == [stale, wanted("recency", "shop"), wanted("msdp", "shop")]
    assert pending(folder, [wanted("arallm", "shop")]) == []
    assert pending(folder / "none", every) == every


def test_a_digest_is_of_the_content_alone(tmp_path):
    for folder, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "code.py").write_text(text)
    a, b, c = (digest_files([tmp_path / folder / "code.py"]) for folder in "abc")

    assert a == b != c
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


# means and differences


def kept(folder, method, lake):
    return by_method(read_all(folder))[lake, method]


def test_a_lake_s_figure_is_the_mean_over_scenarios_and_seeds(folder):
    found = summarise(kept(folder, "found", "shop"), "auc")
    by_seed = [
        np.mean([s.measures["auc"].value for s in result("found", "shop", seed).scenarios.values()])
        for seed in (0, 1, 2)
    ]

    assert found.value == pytest.approx(np.mean(by_seed), abs=1e-6)
    assert found.sd == pytest.approx(np.std(by_seed, ddof=1), abs=1e-6)
    assert found.seeds == 3
    assert summarise(kept(folder, "recency", "shop"), "auc").sd is None


def test_a_measure_of_the_lake_as_a_whole_is_not_a_mean_over_scenarios(folder):
    assert summarise(kept(folder, "recency", "shop"), "specificity").value == pytest.approx(0.66)
    assert summarise(kept(folder, "recency", "shop"), "ece") is None
    assert summarise([], "auc") is None
    assert summarise(kept(folder, "recency", "shop"), "auc", "no such scenario") is None


def test_a_difference_from_stored_files_is_the_paired_bootstrap(folder):
    scenario = "buys tea"
    given, _ = candidates("shop", scenario)
    direct = []
    for method in ("heuristic", "recency"):
        _, shared = candidates("shop", scenario)
        own = np.random.default_rng([0, *method.encode(), *scenario.encode()]).normal(size=len(shared))
        score = WORTH[method] * given.label_N + 0.9 * shared + 0.4 * own
        direct.append(auc_R(rank(given.label_N, score, weightings(given.scenario, given.label_N, 50))))
    expected = direct[0] - direct[1]

    found = difference(kept(folder, "heuristic", "shop"), kept(folder, "recency", "shop"), "auc", scenario)

    assert found.value == pytest.approx(expected[0], abs=1e-6)
    width = np.ptp(expected[1:])
    assert (found.low, found.high) == pytest.approx(interval(expected[1:]), abs=width / 50)
    assert found.holds and found.sign == 1


def test_pairing_sees_what_two_intervals_do_not(folder):
    better, worse = kept(folder, "heuristic", "shop"), kept(folder, "msdp", "shop")
    found = difference(better, worse, "auc")
    a, b = summarise(better, "auc"), summarise(worse, "auc")

    assert found.high - found.low < 0.7 * (a.interval[1] - a.interval[0])
    assert found.low > a.interval[0] - b.interval[1]


def test_a_method_less_itself_is_nothing(folder):
    found = difference(kept(folder, "found", "shop"), kept(folder, "found", "shop"), "auc")

    assert (found.value, found.low, found.high, found.holds, found.sign) == (0, 0, 0, False, 0)


def test_the_interval_of_a_mean_over_scenarios_is_narrower_than_theirs(folder):
    given = kept(folder, "recency", "shop")
    widths = [np.diff(summarise(given, "auc", name).interval)[0] for name in SCENARIOS["shop"]]

    assert np.diff(summarise(given, "auc").interval)[0] == pytest.approx(np.mean(widths) / math.sqrt(3), rel=0.35)


def test_seeds_that_disagree_widen_the_interval():
    def seeded(value: float, seed: int) -> Result:
        base = result("recency", "shop")
        same = {
            n: replace(s, measures={"auc": replace(s.measures["auc"], value=value)}) for n, s in base.scenarios.items()
        }
        return replace(base, what=replace(base.what, seed=seed), scenarios=same, overall=mean_over(same))

    def width(values: tuple[float, ...]) -> float:
        return float(np.diff(summarise([seeded(v, i) for i, v in enumerate(values)], "auc").interval)[0])

    assert width((0.7, 0.7, 0.7)) == pytest.approx(width((0.7,)))
    assert width((0.5, 0.7, 0.9)) > 3 * width((0.7, 0.7, 0.7))
    assert width((0.5, 0.7, 0.9)) == pytest.approx(2 * 4.303 * 0.2 / math.sqrt(3), rel=0.2), (
        "Student's t with two degrees of freedom"
    )


def test_a_measure_that_only_one_method_has_gives_no_difference(folder):
    assert difference(kept(folder, "found", "shop"), kept(folder, "recency", "shop"), "ece") is None
    assert difference([], kept(folder, "recency", "shop"), "auc") is None


def test_only_scenarios_that_both_have_are_compared():
    one, other = result("heuristic", "shop"), result("recency", "shop")
    tea = {"buys tea": other.scenarios["buys tea"]}
    part = replace(other, scenarios=tea, overall=mean_over(tea))

    assert difference([one], [part], "auc") == difference([one], [other], "auc", "buys tea")


def test_methods_measured_on_other_users_are_not_compared():
    one, other = result("heuristic", "shop"), result("recency", "shop")
    given, _ = candidates("shop", "buys tea")
    labels = dict(zip(given.users, (1 - given.label_N).tolist(), strict=True))
    elsewhere = measure(Candidates.of("shop/buys tea", labels, fit_rate=0.2), dict.fromkeys(labels, 1.0), replicates=50)

    with pytest.raises(
        FoundError,
        match=r"scenario 'buys tea' of method 'recency' on lake 'shop' with seed 0 has other labelled users than that "
        r"of method 'heuristic' on lake 'shop' with seed 0: their difference means nothing\. Compute the older one",
    ):
        difference([one], [replace(other, scenarios=other.scenarios | {"buys tea": elsewhere})], "auc")


def test_another_number_of_replicates_is_not_paired():
    one, other = result("heuristic", "shop"), result("recency", "shop")
    given, _ = candidates("shop", "buys tea")
    few = measure(given, dict.fromkeys(given.users, 1.0), replicates=9)

    with pytest.raises(FoundError, match=r"cannot be paired: 50 against 9\. Compute one of them again"):
        difference([one], [replace(other, scenarios={"buys tea": few})], "auc", "buys tea")


def test_files_of_one_name_in_two_folders_both_count(tmp_path):
    files = [tmp_path / folder / "train.py" for folder in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        file.write_text("the same")
    before = digest_files(files)
    assert digest_files(files[::-1]) == before
    for file in files:
        file.write_text("changed")
        assert digest_files(files) != before
        file.write_text("the same")
