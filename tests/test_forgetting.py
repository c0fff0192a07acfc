"""What lies beside a model forgets a user: vectors of texts, and past users of a calibration."""

import numpy as np
import pytest

from feature_repo.contracts.templates import text_key
from model.calibration.past import Past
from model.forgetting import drop_calibration, forget_texts, without
from model.rewriting.words import LakeWords
from model.text_cache import CachedEncoder, TextTable, read_table
from model.vectors import Users

WORDS = LakeWords(("bills",), "EUR", {"city": ("Rome",)}, (), ())


class Lengths:
    """A text's vector is its length."""

    width, fingerprint = 2, "lengths"

    def encode(self, texts):
        return np.array([[len(text), 1] for text in texts], np.float32)


def test_a_text_cache_loses_these_vectors_and_no_other(tmp_path):
    CachedEncoder(tmp_path, Lengths()).encode(["tea", "letters", "cake"])
    (tmp_path / "empty").mkdir()

    assert forget_texts(tmp_path, np.array([text_key("letters"), 5])) == 1

    left = read_table(tmp_path / "lengths")
    assert left.keys.tolist() == sorted([text_key("tea"), text_key("cake")])
    assert [left.vectors[left.rows(np.array([text_key(t)]))[0]].tolist() for t in ("tea", "cake")] == [[3, 1], [4, 1]]
    assert left.vectors[0].tolist() == [0, 0]
    assert len(list((tmp_path / "lengths").glob("*-*"))) == 1, "the older generation is gone"
    assert forget_texts(tmp_path, np.array([text_key("letters")])) == 0


@pytest.fixture
def past() -> Past:
    """Three users: one alone has the history text 30 and the future "letters to zoe"."""
    own = [(np.array([10, 20]), np.ones(2)), (np.array([30]), np.ones(1)), (np.array([20]), np.ones(1))]
    texts = ("cheap tea", "letters to zoe", "tea")
    units = ("cheap", "letters", "tea", "zoe")
    return Past(
        users=Users(np.arange(9, dtype=np.float32).reshape(3, 3), own),
        known=TextTable(np.array([10, 20, 30]), np.arange(8, dtype=np.float16).reshape(4, 2), "e"),
        future_NF=np.array([[0, 2], [1, -1], [2, -1]], np.int32),
        texts=texts,
        is_event_V=np.array([True, True, False]),
        source_VS=np.array([[True], [True], [False]]),
        text_VE=np.arange(6, dtype=np.float16).reshape(3, 2),
        units=units,
        unit_UE=np.arange(8, dtype=np.float16).reshape(4, 2),
        words=WORDS,
        drift=0.5,
    )


def test_a_past_without_a_user_keeps_only_what_others_told(past, tmp_path):
    left = without(past, np.array([False, True, False]))

    assert left.users.vectors.tolist() == [[0, 1, 2], [6, 7, 8]]
    assert [keys.tolist() for keys, _ in left.users.texts] == [[10, 20], [20]]
    assert (left.known.keys.tolist(), left.known.encoder) == ([10, 20], "e")
    np.testing.assert_array_equal(left.known.vectors, past.known.vectors[:3])
    assert left.texts == ("cheap tea", "tea")
    assert left.future_NF.tolist() == [[0, 1], [1, -1]], "futures name the same texts by their new places"
    assert left.text_VE.tolist() == [[0, 1], [4, 5]]
    assert (left.is_event_V.tolist(), left.source_VS.tolist()) == ([True, False], [[True], [False]])
    assert left.units == ("cheap", "tea")
    assert left.unit_UE.tolist() == [[0, 1], [4, 5]]
    left.save(tmp_path, model="m")
    assert Past.load(tmp_path, model="m").texts == left.texts, "and fits together"
    drop_calibration(tmp_path)
    assert Past.load(tmp_path, model="m") is None and not list(tmp_path.iterdir())


def test_a_past_without_nobody_stays_as_it_is(past):
    left = without(past, np.zeros(3, bool))
    assert (left.texts, left.units, left.future_NF.tolist()) == (past.texts, past.units, past.future_NF.tolist())
