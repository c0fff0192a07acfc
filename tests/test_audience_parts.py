"""The parts of a stored audience: the promise, the hold-out, what counts, seeds and their files."""

import io
from dataclasses import replace
from datetime import date
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import NOTHING, text_key
from model.calibration.size import Expected
from model.rewriting.document import Behaviour, Profile, Rewritten
from serving.audiences.counting import Clause, Counting, Need, stated, unknown
from serving.audiences.errors import InvalidSeedFile
from serving.audiences.holdout import drawn
from serving.audiences.making import windows_of
from serving.audiences.prediction import distribution, interval, predicted
from serving.audiences.rewritten import RewrittenMeaning, counted
from serving.audiences.seed_files import LONGEST_ID, read_seed_file
from serving.audiences.seeds import UNKNOWN, UNLIKE, above, diagnosed, to_others, two_groups, unit
from serving.messages import MOST_SEEDS

# -- the promise


@pytest.mark.parametrize("chances", [[], [0.5], [0.1, 0.9, 0.3], [0.0, 1.0, 0.2], [0.01] * 9])
def test_the_distribution_equals_the_sum_over_all_outcomes(chances):
    masses = np.zeros(len(chances) + 1)
    for outcome in product((0, 1), repeat=len(chances)):
        masses[sum(outcome)] += np.prod([p if did else 1 - p for p, did in zip(chances, outcome, strict=True)])

    first, found = distribution(np.array(chances))

    whole = np.zeros_like(masses)
    whole[first : first + len(found)] = found
    np.testing.assert_allclose(whole, masses, atol=1e-12)


def test_the_interval_holds_its_level_and_no_narrower_one_of_equal_tails_does():
    chances = np.random.default_rng(0).random(3_000) ** 3
    low, high = interval(chances, 0.8)
    first, masses = distribution(chances)
    at = {first + i: mass for i, mass in enumerate(masses)}
    assert sum(at[i] for i in range(low, high + 1)) >= 0.8
    assert sum(mass for i, mass in at.items() if i <= low) > 0.1 and sum(m for i, m in at.items() if i < low) <= 0.1
    assert masses.sum() == pytest.approx(1.0, abs=1e-9)
    drawn_counts = (np.random.default_rng(1).random((2_000, 3_000)) < chances).sum(1)
    assert 0.78 <= np.mean((low <= drawn_counts) & (drawn_counts <= high)) <= 0.88


@pytest.mark.parametrize(("chances", "told"), [([], (0.0, 0, 0)), ([1.0] * 4, (4.0, 4, 4)), ([0.0] * 4, (0.0, 0, 0))])
def test_a_certain_promise_has_no_width(chances, told):
    found = predicted(chances)
    assert (found["expected"], found["low"], found["high"], found["level"]) == (*told, 0.8)


def test_a_calibrated_model_widens_the_interval_by_what_it_may_be_off():
    chances = [0.1] * 1_000
    chance, known = predicted(chances), predicted(chances, Expected(size=500.0, low=251.0, high=900.0))
    assert (known["expected"], known["low"], known["high"]) == (pytest.approx(100.0), 50, 200)
    assert known["method"] != chance["method"] and 50 < chance["low"] < chance["high"] < 200
    assert predicted([0.9] * 10, Expected(9.0, 1.0, 9.0))["high"] == 10


# -- the hold-out


def test_a_hold_out_is_the_same_on_every_run_and_another_for_another_audience():
    users = [f"u{at}" for at in range(1_000)]
    held = drawn(users, 0.1, salt="aud_a")
    assert len(held) == 100 and held == drawn(users[::-1], 0.1, salt="aud_a")
    assert 0 < len(held & drawn(users, 0.1, salt="aud_b")) < 30
    assert drawn(users, 0.0, salt="a") == frozenset() and drawn([], 0.5, salt="a") == frozenset()


def test_a_hold_out_does_not_prefer_the_best():
    users = [f"u{at}" for at in range(2_000)]
    ranks = [users.index(user) for user in drawn(users, 0.2, salt="aud_a")]
    assert 950 < np.mean(ranks) < 1_050


# -- what counts


def keys(*texts: str) -> set[int]:
    return {text_key(text) for text in texts}


def test_groups_clauses_and_needs_hold_as_they_say():
    tea, mug = Need(("green tea", "black tea")), Need(("mug",), negated=True)
    counting = Counting(
        "rewritten", ((Clause("a", (tea, mug)), Clause("b", (Need(("cake",)),))), (Clause("c", (mug,)),))
    )

    assert counting.happened(keys("black tea")) and counting.happened(keys("cake", "x"))
    assert not counting.happened(keys("black tea", "mug")) and not counting.happened(keys("cake", "mug"))
    assert not counting.happened(set())
    assert counting.keys == keys("green tea", "black tea", "mug", "cake")
    assert Counting.from_dict(counting.to_dict()) == counting
    assert stated(["a", "a", "b"]).happened(keys("b")) and not stated(["a"]).happened(keys("b"))


def test_what_is_unknown_cannot_be_counted():
    with pytest.raises(ValueError, match="nothing counts: no reason but this"):
        unknown("no reason but this").happened(set())


class Lake:
    class words:  # noqa: N801
        currency = "EUR"


class Near:
    """Every text whose first word is the topic's."""

    texts = ("tea green", "tea black", "mug blue")

    def all_near(self, vector, source):
        from model.rewriting.retrieval import Found

        return Found(tuple((text, 0.9) for text in self.texts if text.startswith(vector)), 0.9)


class Rewriter:
    lake, retrieval, day = Lake, Near(), date(2024, 6, 1)

    def encode(self, topics):
        return np.array(topics)

    def rewrite(self, demand):
        return Rewritten(demand, (), (Behaviour("bills", "tea"),))


def test_future_conditions_count_and_the_others_say_who_is_asked_for():
    conditions = (
        Profile("city", "Rome"),
        Behaviour("bills", "mug", tense="past"),
        Behaviour("bills", "tea", channel="cash"),
        Behaviour("bills", "mug", negated=True, joined="or"),
        Behaviour(negated=True),
    )
    found = counted(Rewriter(), Rewritten("d", (), conditions))

    assert found.method == "rewritten"
    first, second = found.groups
    assert [clause.needs for clause in first] == [
        (Need(("The user paid by cash",)), Need(("tea green", "tea black"))),
        (Need(("mug blue",), negated=True),),
    ]
    assert [clause.needs for clause in second] == [(Need((NOTHING,)),)]
    assert first[0].said == "will buy 'tea' by cash"


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ((), "the demand says nothing that users will do"),
        ((Profile("city", "Rome"),), "the demand says nothing that users will do"),
        ((Behaviour("bills", "tea"), Behaviour("bills", "yacht")), "no text of the lake says who will buy 'yacht'"),
    ],
)
def test_a_demand_that_cannot_be_counted_says_why(conditions, reason):
    assert counted(Rewriter(), Rewritten("d", (), conditions)) == unknown(reason)


def test_the_rewriter_is_opened_once_a_day_and_where_it_cannot_be_the_reason_is_kept():
    opened = []

    def open_rewriter(settings, *, day):
        opened.append(day)
        if day.year == 2025:
            raise FoundError("no pairs there.")
        made = Rewriter()
        made.day = day
        return made

    meaning = RewrittenMeaning(Settings(), open_rewriter=open_rewriter)
    assert meaning.of("tea", "2024-06-01") == meaning.of("tea", "2024-06-01")
    assert meaning.of("tea", "2024-06-02").groups and opened == [date(2024, 6, 1), date(2024, 6, 2)]
    assert meaning.of("tea", "2025-06-02") == unknown("the demand cannot be read: no pairs there.")


def test_the_horizon_is_the_model_s_own(tmp_path):
    settings = Settings(workdir=str(tmp_path), horizon_days=7, gap_days=1)
    folder = settings.work.models / "v1"
    folder.mkdir(parents=True)
    assert windows_of(settings, "v1") == (7, 1)
    (folder / "config.json").write_text('{"metadata": {"windows": {"horizon_days": 30, "gap_days": 2}}}')
    assert windows_of(settings, "v1") == (30, 2)
    assert windows_of(replace(settings, horizon_days=0), "v2") == (0, 1)


# -- seeds


def population(rng, users: int, topics: np.ndarray, topic: int | None = None) -> np.ndarray:
    """Vectors as the index has them: propensity, a mixture of topics (mostly one where it is given), 1."""
    mixed = rng.dirichlet(np.full(len(topics), 0.3), size=users) @ topics
    text = mixed if topic is None else 0.7 * topics[topic] + 0.3 * mixed
    noisy = text + 0.05 * rng.normal(size=text.shape)
    return np.concatenate([rng.normal(size=(users, 1)) * 9, noisy, np.ones((users, 1))], 1).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def topics(rng):
    return unit(rng.normal(size=(8, 64)))


def looked_at(rng, topics, positives: list[np.ndarray], negatives: np.ndarray | None = None):
    rows = np.concatenate(positives)
    against = negatives if negatives is not None else rows[:0]
    liked, disliked = [f"p{at}" for at in range(len(rows))], [f"n{at}" for at in range(len(against))]
    stored = dict(zip([*liked, *disliked], [*rows, *against], strict=True))
    return diagnosed(liked, disliked, stored, population(rng, 400, topics).astype(np.float64))


def codes(diagnosis) -> list[str]:
    return [finding.code for finding in diagnosis.findings]


@pytest.mark.parametrize("users", [6, 20, 200])
def test_seeds_of_one_mind_raise_nothing(rng, topics, users):
    found = looked_at(rng, topics, [population(rng, users, topics, 0)], population(rng, 10, topics, 1))
    assert (codes(found), found.notes) == ([], {})
    assert found.figures["coherence"] > 0.95 < found.figures["separation"]


def test_seeds_that_stand_apart_are_named(rng, topics):
    found = looked_at(rng, topics, [population(rng, 20, topics, 0), population(rng, 2, topics, 5)])
    assert codes(found) == ["unlike_seeds"] and found.notes == {"p20": UNLIKE, "p21": UNLIKE}


def test_two_groups_of_seeds_are_counted(rng, topics):
    found = looked_at(rng, topics, [population(rng, 12, topics, 0), population(rng, 8, topics, 5)])
    assert codes(found) == ["mixed_seeds"] and "two groups, of 12 and 8 users" in found.findings[0].message


def test_random_users_have_nothing_in_common_and_are_hardly_ever_two_groups(rng, topics):
    found = [looked_at(rng, topics, [population(rng, 12, topics)]) for _ in range(40)]
    assert sum("nothing_in_common" in codes(each) for each in found) >= 36
    assert sum("mixed_seeds" in codes(each) for each in found) <= 2


def test_positives_and_negatives_of_the_same_kind_overlap(rng, topics):
    sides = [[population(rng, 20, topics, 0) for _ in range(2)] for _ in range(20)]
    found = [looked_at(rng, topics, [one], other) for one, other in sides]
    assert sum(codes(each) == ["overlapping_seeds"] for each in found) >= 15


def test_few_and_unknown_seeds_are_told_and_nothing_is_compared(rng, topics):
    stored = {"a": population(rng, 1, topics)[0]}
    found = diagnosed(["a", "x", "y"], ["z"], stored, population(rng, 50, topics).astype(np.float64))
    assert codes(found) == ["unknown_users", "few_seeds"]
    assert found.notes == {"x": UNKNOWN, "y": UNKNOWN, "z": UNKNOWN}
    assert found.findings[0].message == "3 of 4 seeds are no users of the index; they are left out."
    assert found.document()["figures"] == {"positives": 1.0, "negatives": 0.0}
    assert "x" not in str(found.document()["figures"])


def test_likeness_to_the_others_equals_a_loop(rng):
    rows = unit(rng.normal(size=(7, 5)))
    expected = [np.mean([rows[i] @ rows[j] for j in range(7) if j != i]) for i in range(7)]
    np.testing.assert_allclose(to_others(rows), expected)
    ones, others = rng.integers(0, 4, 9).astype(float), rng.integers(0, 4, 7).astype(float)
    pairs = [(a > b) + (a == b) / 2 for a in ones for b in others]
    assert above(ones, others) == pytest.approx(np.mean(pairs))


def test_the_propensity_is_no_likeness(rng, topics):
    rows = population(rng, 20, topics, 0)
    louder = rows.copy()
    louder[:, 0] *= 100
    usual = population(rng, 100, topics).astype(np.float64)
    users = [f"p{at}" for at in range(20)]
    one, other = (diagnosed(users, [], dict(zip(users, each, strict=True)), usual) for each in (rows, louder))
    assert one.figures == other.figures


def test_rows_that_are_all_the_same_are_one_group(rng):
    assert two_groups(np.ones((10, 3)) / np.sqrt(3), unit(rng.normal(size=(50, 3)))) is None


# -- files of seeds


def parquet(**columns) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"user_id\na\nb\n",
        b"\xef\xbb\xbfUser_Id\r\na\r\nb\r\n",
        b"a\nb\n",
        b"name;user_id\nx;a\ny;b\n",
        b"user_id\tlabel\na\t1\nb\ttrue\n",
        b'"user_id","x"\n"a","1,5"\n\n"b",""\n',
        parquet(user_id=["a", "b"]),
        parquet(x=[1, 2], USER_ID=["a", "b"]),
    ],
)
def test_a_file_of_positives_is_read_however_it_is_written(content):
    found = read_seed_file(content)
    assert (found.positives, found.negatives, found.rows) == (("a", "b"), (), 2)


def test_labels_ids_that_are_numbers_empty_rows_and_duplicates():
    found = read_seed_file(parquet(user_id=[1, 2, 2, None], label=[1.0, 0.0, 0.0, 1.0]))
    assert (found.positives, found.negatives, found.rows, found.empty, found.duplicates) == (("1",), ("2",), 4, 1, 1)
    assert read_seed_file(b"customer,x\n a ,1\n", column="customer").positives == ("a",)


def test_of_too_many_seeds_the_same_sample_is_kept_in_the_order_of_the_file():
    users = [f"u{at}" for at in range(MOST_SEEDS + 500)]
    found = read_seed_file("\n".join(["user_id", *users]).encode())
    assert len(found.positives) == MOST_SEEDS and found.left_out == 500
    assert list(found.positives) == [user for user in users if user in set(found.positives)]
    assert set(read_seed_file("\n".join(["user_id", *users[::-1]]).encode()).positives) == set(found.positives)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe\x00", "neither Parquet nor text in UTF-8"),
        (b"user_id\n\n", "has 0 rows, but no user id"),
        (b"id,name\n1,x\n", "has no column 'user_id'; it has 'id', 'name'"),
        (b"user_id,label\na,perhaps\n", "a label is 1 (does it) or 0 (does not), found 'perhaps'"),
        (b"user_id,label\na,1\na,0\n", "row 2 labels the user 'a' the other way than a row before"),
        (b"user_id\n" + b"x" * (LONGEST_ID + 1), "a user id has at most 256 characters, row 1 has one of 257"),
        (b'user_id\n"' + b"x" * 200_000 + b'"\n', "cannot be read as CSV: field larger than field limit"),
        (b"PAR1 is not enough", "cannot be read as Parquet"),
        (parquet(x=[1]), "has no column 'user_id'; it has 'x'"),
    ],
)
def test_a_file_that_is_no_list_of_seeds_says_what_it_is(content, told):
    with pytest.raises(InvalidSeedFile) as refused:
        read_seed_file(content)
    assert told in refused.value.detail
