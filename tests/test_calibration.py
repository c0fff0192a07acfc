"""Probabilities hold: the line, what a topic means, what past futures say of a demand, and what is kept of them."""

import json
import shutil
import sys
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from model_pairs import LATER, TOPICS, some_users
from safetensors.numpy import load_file, save_file

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.templates import NOTHING, text_key
from model import pointers
from model.calibration import __main__ as command
from model.calibration.drift import UNKNOWN, drift
from model.calibration.learn import calibrate, learn
from model.calibration.line import FEWEST, LEAST_SLOPE, SLOPE, SLOPE_WEIGHT, Line, fit_bias, fit_line
from model.calibration.matching import Matcher
from model.calibration.past import CONFIG, WEIGHTS
from model.calibration.reading import MATCHED, PARTLY, UNMATCHED, Reader
from model.calibration.size import WITHIN_80, expected
from model.calibration.units import Units, stem, units_of
from model.data import open_pairs
from model.evaluation.metrics import auc
from model.found import FoundModel
from model.rewriting.words import LakeWords

TEXTS = (
    "Garden chair, furniture at Home",
    "Garden lamp, light at Home",
    "Silver necklace, jewels at Home",
    "Lunch box, kitchen at Home",
    "Hat box, clothes at Home",
    "Lunch bag, kitchen at Home",
    "Old coat, clothes at Home",
    "Tea cup, kitchen at Home",
    "The user spent more than 1000 EUR in total",
    NOTHING,
    "The user made a purchase",
    "buy lunch box",
)
"""Eight purchases, two summaries around nothing, and a search."""
SOURCES = np.array([[" at Home" in text, False, False, text.startswith("buy")] for text in TEXTS])
WORDS = LakeWords(("bills", "searches"), "EUR", {}, (), ())
DAY = date(2024, 6, 1)
ALIKE = {"jewellery": "necklace"}


def encode(texts):
    """A unit vector per text, one axis per word; words that are alike share theirs."""
    vectors = np.zeros((len(texts), 4096), np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().replace(",", "").split():
            vectors[row, text_key(ALIKE.get(word, word)) % 4096] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def matcher():
    units = Units.of(TEXTS)
    is_event = SOURCES.any(1)
    return Matcher(units, is_event, encode(units.names), encode(TEXTS))


@pytest.fixture
def reader(matcher):
    """Users who did: garden chair; lunch box and hat box; necklace for much; nothing; a search for a lunch box."""
    future = np.array([[0, 10, -1], [3, 4, 10], [2, 8, 10], [9, -1, -1], [11, -1, -1]])
    return Reader(TEXTS, SOURCES, matcher, WORDS, future)


class TestLine:
    def test_it_is_where_the_loss_is_least(self):
        rng = np.random.default_rng(0)
        score = rng.normal(-2, 1.5, 400)
        target = rng.random(400) * (score > -2)

        line = fit_line(score, target)

        share = line.probabilities(score)
        assert share.mean() == pytest.approx(target.mean(), abs=0.002)
        target = target + FEWEST / (len(score) + 1) * (1 - 2 * target)
        pull = sum((t - p) * (s - score.mean()) for s, t, p in zip(score, target, share, strict=True))
        assert pull == pytest.approx(SLOPE_WEIGHT * (line.slope - SLOPE), abs=1e-6)

    def test_log_odds_that_hold_stay_what_they_are(self):
        score = np.random.default_rng(1).normal(-1, 2, 20_000)

        line = fit_line(score, 1 / (1 + np.exp(-score)))

        assert (line.bias, line.slope) == (pytest.approx(0, abs=0.01), pytest.approx(1, abs=0.01))

    def test_no_line_turns_a_ranking_around(self):
        score = np.linspace(-3, 3, 200)
        line = fit_line(score, (score < 0).astype(float))

        assert line.slope == LEAST_SLOPE and line.probabilities(score).mean() == pytest.approx(0.5, abs=0.01)

    @pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
    def test_a_bias_alone_gives_the_share_at_a_given_slope(self, share):
        score = np.random.default_rng(2).normal(size=500)
        line = fit_bias(score, np.full(500, share), slope=2.0)

        assert line.slope == 2.0 and line.probabilities(score).mean() == pytest.approx(share, abs=0.002)

    def test_a_moved_demand_scores_on_the_line(self, trained, texts):
        users = trained.embed(some_users(12), texts)
        (demand,) = trained.uncalibrated(["garden fans"], LATER)
        before = trained.score(users, demand, texts)

        after = trained.score(users, demand.moved(Line(-1.5, 0.7), spread=0.3), texts)

        np.testing.assert_allclose(after, -1.5 + 0.7 * before, atol=1e-4)
        assert demand.spread is None and demand.moved(Line(), spread=0.3).moved(Line(1, 1)).spread == 0.3


class TestWords:
    @pytest.mark.parametrize(
        ("forms", "root"),
        [
            (("box", "boxes"), "box"),
            (("party", "parties"), "party"),
            (("animated", "animation"), "animat"),
            (("repay", "repayment", "repayments"), "repay"),
            (("shop", "shopping", "shops"), "shop"),
            (("rate", "rated", "rating"), "rat"),
            (("glass", "glasses"), "glass"),
        ],
    )
    def test_the_forms_of_a_word_share_a_stem(self, forms, root):
        assert {stem(form) for form in forms} == {root}

    def test_units_are_words_and_the_parts_of_the_template(self):
        assert units_of("Silver Necklace, jewels at Home") == {
            "silver",
            "necklace",
            "silver necklace",
            "jewels",
            "home",
        }

    def test_units_know_their_texts(self):
        units = Units.of(["red tea", "tea", "red"])
        only_red = np.array([name == "red" for name in units.names]) * 0.5

        assert units.texts_with(only_red).tolist() == [0.5, 0.0, 0.5]
        assert Units.of(["red tea", "blue"], ["tea", "red"]).names == ("tea", "red")


class TestMatcher:
    def meant(self, matcher, topic, **how):
        return [TEXTS[row] for row in np.flatnonzero(matcher.match(topic, encode, **how).probability_V > 0.5)]

    def test_by_the_stem_of_a_word(self, matcher):
        assert self.meant(matcher, "gardens") == list(TEXTS[:2])

    def test_by_what_the_encoder_holds_to_be_alike(self, matcher):
        assert self.meant(matcher, "jewellery") == [TEXTS[2]]

    def test_a_topic_of_two_words_means_texts_with_both(self, matcher):
        assert self.meant(matcher, "lunch boxes") == [TEXTS[3], TEXTS[11]]
        assert matcher.match("lunch boxes", encode).coverage == pytest.approx(1, abs=0.01)

    @pytest.mark.parametrize("topic", ["", "things", "another one", "home"])
    def test_what_says_nothing_means_anything(self, matcher, topic):
        assert matcher.match(topic, encode).probability_V is None

    def test_of_a_half_met_topic_those_texts_are_meant_that_are_like_the_whole(self, matcher):
        toward = encode(["lunch bag, kitchen at home"])

        found = matcher.match("lunch boxes", lambda texts: np.concatenate([toward, encode(texts[1:])])).probability_V

        assert {TEXTS[row] for row in np.flatnonzero(found > 0.5)} == {TEXTS[3], TEXTS[5], TEXTS[11]}
        assert found[TEXTS.index("Hat box, clothes at Home")] < 0.2

    def test_what_is_no_event_is_about_no_topic(self, matcher):
        assert not matcher.match("purchase of lamps", encode).probability_V[[8, 9, 10]].any()

    def test_half_a_topic_is_found_in_part(self, matcher):
        assert 0.2 < matcher.match("lunch zeppelins", encode).coverage < 0.6

    def test_what_the_lake_does_not_have_is_not_found(self, matcher):
        match = matcher.match("zeppelins", encode)
        assert match.coverage < 0.5 and match.probability_V.max() < 0.5

    def test_names_are_met_by_their_stems(self, matcher):
        assert np.flatnonzero(matcher.named(["necklaces"]).probability_V).tolist() == [2]
        assert matcher.named(["families"]).coverage == 0 == matcher.named([]).coverage


class TestReader:
    def test_a_future_happens_when_any_of_its_texts_is_meant(self, reader):
        probability = np.linspace(0.0, 0.9, len(TEXTS))

        expected_N = []
        for future in reader.future_NF:
            missed = 1.0
            for row in future[future >= 0]:
                missed *= 1 - probability[row]
            expected_N.append(1 - missed)

        np.testing.assert_allclose(reader.happened(probability), expected_N)

    @pytest.mark.parametrize(
        ("demand", "who"),
        [
            ("Customers who will buy a garden chair", [1, 0, 0, 0, 0]),
            ("Customers who will order again this summer", [1, 1, 1, 0, 0]),
            ("Customers who will buy a lunch box or a necklace", [0, 1, 1, 0, 0]),
            ("Customers who will not buy a necklace", [1, 1, 0, 1, 1]),
            ("Customers who will spend more than 1000 euros", [0, 0, 1, 0, 0]),
            ("People who are interested in lunch boxes", [0, 1, 0, 0, 1]),
        ],
    )
    def test_a_demand_is_read_wish_by_wish(self, reader, demand, who):
        found = reader.read(demand, DAY, encode)

        assert found.kind == MATCHED
        np.testing.assert_allclose(found.happened_N, who, atol=0.1)

    def test_it_says_what_it_could_not_read(self, reader):
        assert reader.read("People who will buy zeppelins", DAY, encode).kind == UNMATCHED
        half = reader.read("People who will buy lunch zeppelins for rockets", DAY, encode)
        assert half.kind in (PARTLY, UNMATCHED) and half.happened_N.max() < 0.7


class TestSize:
    def test_it_is_what_the_probabilities_add_up_to(self):
        found = expected(np.array([0.1, 0.3]), 1000, 0.0)

        assert found.size == pytest.approx(200) and found.low < 200 < found.high

    def test_the_interval_is_that_of_the_spread(self):
        found = expected(np.full(1000, 0.5), 1000, 0.4)

        assert found.low == pytest.approx(500 * np.exp(-WITHIN_80 * 0.4), rel=0.01)
        assert expected(np.full(1000, 0.9), 1000, 0.4).high == 1000


class TestModel:
    def test_a_model_without_a_calibration_says_so(self, trained):
        assert trained.calibration is None
        assert [demand.spread for demand in trained.read_demands(["garden fans"], LATER)] == [None]

    def test_a_calibrated_model_ranks_the_same_and_hits_the_past(self, calibrated_folder, texts):
        model = FoundModel.from_pretrained(calibrated_folder)
        users, past = model.embed(some_users(60), texts), model.calibration.past
        for topic in TOPICS:
            said = f"People who will buy {topic} things"
            (before,), (after,) = model.uncalibrated([said], LATER), model.read_demands([said], LATER)
            scores = [model.score(users, demand, texts) for demand in (before, after)]
            happened = model.calibration.reader.read(said, LATER, model.encode_texts).happened_N

            assert auc(scores[0] > np.median(scores[0]), scores[1]) == 1 and after.spread > 0
            probability = model.probabilities(model.score(past.users, after, past.known))
            assert probability.mean() == pytest.approx(happened.mean(), abs=0.02)

    def test_the_same_pairs_give_the_same_calibration(self, calibrated_folder, tiny_pairs, text_cache, tmp_path):
        folder = shutil.copytree(calibrated_folder, tmp_path / "again")
        told = calibrate(folder, open_pairs(tiny_pairs), text_cache)

        assert told.startswith(f"calibration of model {calibrated_folder.name}: 96 past users, ")
        for name in (CONFIG, WEIGHTS):
            assert (folder / name).read_bytes() == (calibrated_folder / name).read_bytes()

    def test_it_does_not_enter_the_version(self, calibrated_folder, trained, tmp_path):
        model = FoundModel.from_pretrained(calibrated_folder)

        assert model.version == trained.version == model.save_pretrained(tmp_path)

    @pytest.mark.parametrize(
        ("spoil", "named"),
        [
            (lambda d, t: d.update(calibration_version=0), r"has \{'calibration_version': 0\}, .* need"),
            (lambda d, t: d.update(model="other"), r"has \{'model': 'other'\}"),
            (lambda d, t: t.pop("unit_UE"), "needs the tensors"),
            (lambda d, t: t.update(weight_T=t["weight_T"].astype(np.float16)), "needs the tensors"),
            (lambda d, t: d["texts"].pop(), "must have futures within the texts and an encoding per text"),
            (lambda d, t: d["units"].pop(), "must have an encoding per unit"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, calibrated_folder, tmp_path, spoil, named):
        folder = shutil.copytree(calibrated_folder, tmp_path / "spoilt")
        document, tensors = json.loads((folder / CONFIG).read_text()), load_file(folder / WEIGHTS)
        spoil(document, tensors)
        (folder / CONFIG).write_text(json.dumps(document))
        save_file(tensors, folder / WEIGHTS)

        with pytest.raises(FoundError, match=named) as refused:
            FoundModel.from_pretrained(folder)
        assert "fit it again with `python -m model.calibration`" in str(refused.value)

    def test_other_pairs_are_refused(self, trained, tiny_pairs, text_cache):
        pairs = open_pairs(tiny_pairs)
        other = replace(pairs, manifest={**pairs.manifest, "fingerprint": "other"})

        with pytest.raises(FoundError, match="was trained on other pairs than those in"):
            learn(trained, other, text_cache)

    def test_pairs_that_users_were_erased_from_are_known_by_what_they_were(self, trained, tiny_pairs, text_cache):
        pairs = open_pairs(tiny_pairs)
        was = pairs.manifest["fingerprint"]
        fewer = replace(pairs, manifest={**pairs.manifest, "fingerprint": "less", "fingerprint_before_erasures": was})

        assert len(learn(trained, fewer, text_cache).future_NF) == len(learn(trained, pairs, text_cache).future_NF)

    def test_one_time_says_nothing_of_drift(self, trained, calibrated_folder):
        past = FoundModel.from_pretrained(calibrated_folder).calibration.past

        assert drift(trained, past, past, LATER, 0.0) == UNKNOWN

    def test_the_command_calibrates_the_model_in_service(
        self, trained_folder, tiny_pairs, text_cache, tmp_path, monkeypatch, capsys
    ):
        work = tmp_path / "work"
        model = pointers.current(trained_folder, missing="")
        shutil.copytree(model, work / "models" / model.name)
        pointers.set_current(work / "models", model.name)
        (work / "pairs").symlink_to(tiny_pairs)
        (work / "text_cache").symlink_to(text_cache)
        monkeypatch.setattr(sys, "argv", ["model.calibration", "--workdir", str(work)])

        command.main()

        assert f"calibration of model {model.name}" in capsys.readouterr().out
        assert FoundModel.from_pretrained(work / "models" / model.name).calibration is not None
