"""What answers from memory answers as what reads the index does; it ends with its publication."""

import gc
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from audience_doubles import USERS, open_desk, published, weighted_texts
from serving_doubles import DAY, WordModel, bought, embedded, user_name, write_embeddings

from feature_repo.contracts.errors import FoundError
from model.bounds import Bounds
from model.calibration.line import Line
from model.combining import answered
from model.vectors import Demand
from serving.alone import Models
from serving.errors import IndexUnreachable
from serving.expecting import line_between
from serving.facts import Column
from serving.filters import AnyOf, Filter
from serving.held import Held, all_rows
from serving.held_facts import HeldFacts
from serving.nearly import ROUNDING
from serving.question import Question
from serving.remembered import Remembered
from serving.rows import Row

AGE = Column("age", "number", "profile", "age")
NO_TEXTS = np.zeros(0, np.int64), np.zeros(0, np.float32)
EVERYBODY = [user_name(at) for at in range(USERS)]
SENTENCES = ("picnic", "a garden plant", "lunch bags and picnic baskets", "who will not buy cake stands")


@pytest.fixture
def settings(tmp_path):
    return published(tmp_path)


@pytest.fixture
def desk(settings):
    desk = open_desk(settings)
    yield desk
    desk.close()


def filled(desk) -> Held:
    """The rows of what answers from memory, once it does."""
    desk.fill_memory()
    return until_filled(desk)


def until_filled(desk) -> Held:
    until = time.monotonic() + 30
    while not isinstance(rows := desk.ready().rows, Held):
        assert time.monotonic() < until
        time.sleep(0.01)
    return rows


def test_all_rows_are_those_of_the_index_page_by_page(desk, monkeypatch):
    monkeypatch.setattr("serving.held._PAGE", 7)

    found, facts = all_rows(desk._index, desk._index.describe("users_v1"), megabytes=1, stop=threading.Event())

    ages = {user: 20.0 + at for at, user in enumerate(EVERYBODY)}
    assert facts.columns[AGE.stored].values.tolist() == [ages[user] for user in found.names]
    assert sorted(found.names) == EVERYBODY and found.vectors.dtype == np.float32
    vectors, texts = desk._index.vectors("users_v1", EVERYBODY), weighted_texts(desk._index, EVERYBODY)
    for user, vector, own in zip(found.names, *found.stored(), strict=True):
        assert np.array_equal(vector, vectors[user])
        assert all(np.array_equal(*both) for both in zip(own, texts[user], strict=True))


def test_nothing_is_held_where_it_does_not_fit_or_is_no_longer_wanted(desk):
    stop = threading.Event()
    publication = desk._index.describe("users_v1")
    assert all_rows(desk._index, publication, megabytes=0, stop=stop) is None
    stop.set()
    assert all_rows(desk._index, publication, megabytes=1, stop=stop) is None


@pytest.mark.parametrize("sentence", SENTENCES)
def test_an_answer_from_memory_is_the_answer_of_the_index(desk, sentence):
    asked = {"size": 12}
    before = desk.target(Question(sentence), **asked), desk.preview(Question(sentence), **asked)
    seeds = desk.lookalike(EVERYBODY[:3], size=9)

    filled(desk)

    assert (desk.target(Question(sentence), **asked), desk.preview(Question(sentence), **asked)) == before
    assert desk.lookalike(EVERYBODY[:3], size=9) == seeds


@pytest.mark.parametrize(
    "sentence", ["picnic fans who bought a garden plant", "picnic fans who never bought a cake stand or a lunch bag"]
)
def test_what_texts_alone_decide_is_found_in_memory_without_the_index(desk, sentence, monkeypatch):
    asked = Question(sentence, exclude_users=(user_name(2), "nobody"))
    before, eligible = desk.target(asked, size=5).users, desk.preview(asked, size=5).eligible
    assert before and 0 < eligible < USERS
    filled(desk)
    for name in ("read", "count", "nearest"):
        monkeypatch.setattr(f"serving.index.UserIndex.{name}", lambda *_: 1 / 0)

    assert desk.target(asked, size=5).users == before
    assert desk.preview(asked, size=5).eligible == eligible


@pytest.mark.parametrize("sentence", ["picnic", "picnic fans who bought a garden plant"])
@pytest.mark.parametrize(
    "filters",
    [
        (Filter("age", ">", 25),),
        (AnyOf((Filter("age", "<", 22), Filter("age", "in", (31, 33)))), Filter("age", "!=", 20)),
        (Filter("age", ">", 1_000),),
    ],
)
def test_a_filter_finds_the_same_in_memory_without_the_index(desk, sentence, filters, monkeypatch):
    asked = Question(sentence, filters=filters)
    before, eligible = desk.target(asked, size=5).users, desk.preview(asked, size=5).eligible
    filled(desk)
    for name in ("read", "count", "nearest"):
        monkeypatch.setattr(f"serving.index.UserIndex.{name}", lambda *_: 1 / 0)

    assert desk.target(asked, size=5).users == before
    assert desk.preview(asked, size=5).eligible == eligible


def test_while_the_index_is_gone_memory_answers_and_the_server_is_not_ready(desk, monkeypatch):
    asked = Question("picnic", filters=(Filter("age", "<", 30),))
    filled(desk)
    before, tried = desk.target(asked, size=5), []

    def gone(self):
        tried.append(1)
        raise IndexUnreachable("no answer")

    monkeypatch.setattr("serving.index.UserIndex.published", gone)

    assert [desk.target(asked, size=5) for _ in range(3)] == [before] * 3
    assert len(tried) == 1, "it is asked again after a while, not at every question"
    with pytest.raises(IndexUnreachable):
        desk.ready()


def test_while_a_night_is_written_a_filter_answers_by_the_day_in_service(desk, settings):
    """Ages change, and the rows are written; the publication is not stamped yet."""
    asked = Question("picnic", filters=(Filter("age", "<", 25),))
    filled(desk)
    before = desk.target(asked, size=5)
    index, ages = desk._index, {AGE.stored: 99.0}
    ones = np.ones(index.describe("users_v1").dimension, np.float32)
    index.upsert("users_v1", [Row(user, ones, NO_TEXTS, "x", "x", ages, "x") for user in EVERYBODY])

    assert before.users and desk.target(asked, size=5) == before


def test_what_is_held_is_not_read_again(desk, monkeypatch):
    filled(desk)
    monkeypatch.setattr("serving.index.UserIndex.read", lambda *_: 1 / 0)

    assert len(desk.target(Question("picnic"), size=5).users) == 5


def test_users_who_were_written_since_are_read_from_the_index(desk):
    rows = filled(desk)
    few = replace(rows._users, names=EVERYBODY[:5])
    index = desk._index

    held = Held(few, HeldFacts(5, {}), rows.known, Remembered(index, "users_v1", megabytes=1))

    assert held.of(EVERYBODY[:8]).names == EVERYBODY[:8]
    assert held.of(EVERYBODY[:8]).histories.key_V is not rows.known.key_V


def test_an_erased_user_is_in_no_memory(desk):
    gone = EVERYBODY[3]
    old = filled(desk)
    assert gone in old.of([gone]).names

    desk.erase(gone)

    rows = until_filled(desk)
    assert rows is not old and rows.of([gone]).names == [] and gone not in rows._row


def test_the_next_publication_is_held_in_the_place_of_the_last(desk, settings):
    old = filled(desk)
    write_embeddings(settings.work, DAY, embedded(USERS - 1), version="v2", texts=bought(USERS - 1))

    desk.publish(DAY)

    rows = until_filled(desk)
    assert rows is not old and len(rows._row) == USERS - 1


def test_a_day_that_is_published_again_with_other_rows_is_held_anew(desk, settings):
    old = filled(desk)
    moved = {user: (vector * np.float32(2), digest + "!") for user, (vector, digest) in embedded(USERS).items()}
    write_embeddings(settings.work, DAY, moved, texts=bought(USERS))
    desk.publish(DAY)
    rows = until_filled(desk)
    assert rows is not old and np.array_equal(rows.of(EVERYBODY).vectors, 2 * old.of(EVERYBODY).vectors)

    desk.publish(DAY)

    assert desk.ready().rows is rows


def test_where_texts_lack_vectors_questions_are_answered_without_memory(desk, monkeypatch, caplog):
    caplog.set_level("INFO")
    alike = desk.target(Question("picnic"), size=5)
    known = WordModel.known

    def lacking(*_):
        raise FoundError("text key 7 has no vector: encode the texts of this snapshot first.")

    monkeypatch.setattr(WordModel, "known", lacking)

    desk.fill_memory()
    desk._filling._thread.join()

    assert "memory was not filled" in caplog.text
    monkeypatch.setattr(WordModel, "known", known)
    assert isinstance(desk.ready().rows, Remembered) and desk.target(Question("picnic"), size=5) == alike


def test_in_memory_everybody_is_looked_at_without_the_index(desk, monkeypatch):
    order = [user.user_id for user in desk.target(Question("picnic"), size=USERS).users]
    filled(desk)
    monkeypatch.setattr("serving.index.UserIndex.nearest", lambda *_: 1 / 0)

    assert [user.user_id for user in desk.target(Question("picnic"), size=USERS).users] == order
    assert [user.user_id for user in desk.target(Question("picnic"), size=4).users] == order[:4]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_in_memory_the_scores_of_everybody_are_the_final_ones_but_for_rounding(desk, sentence):
    members = desk.target(Question(sentence), size=USERS).users
    everybody, by = filled(desk).everybody, desk.ready()
    asked = by.reader.read(Question(sentence)).asked

    each = [everybody.nearly(demand) for demand in by.model.read_demands([one.text for one in asked], by.day)]

    scores, _ = answered(by.model.probabilities, asked, each)
    final = {user.user_id: user.score for user in members}
    assert dict(zip(everybody.names, scores.tolist(), strict=True)) == pytest.approx(final, abs=ROUNDING / 10)


def test_in_memory_the_size_is_that_of_everybody(desk, monkeypatch):
    read = WordModel.read_demands
    monkeypatch.setattr(WordModel, "read_demands", lambda *asked: [replace(d, spread=0.4) for d in read(*asked)])
    members = desk.target(Question("picnic"), size=USERS).users
    filled(desk)
    monkeypatch.setattr("serving.targeting.of_sample", lambda *_: 1 / 0)

    expected = desk.target(Question("picnic"), size=5).expected

    assert expected.size == pytest.approx(sum(user.probability for user in members), rel=1e-5)
    assert expected.low < expected.size < expected.high


def test_the_line_between_two_demands_is_that_by_which_one_was_moved():
    asked, line = Demand(np.array([1, 0.5, -2], np.float32), np.ones(2), 0.3, 0.8), Line(-1.25, 0.75)

    found = line_between(asked, asked.moved(line))

    assert (found.bias, found.slope) == pytest.approx((line.bias, line.slope))
    assert line_between(asked, asked) == Line()


def test_what_answers_from_memory_is_no_longer_searched_for_garbage(desk):
    filled(desk)
    desk._filling._thread.join()
    assert gc.get_freeze_count() > 0

    desk._filling.end()

    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("sentence", SENTENCES)
def test_bounds_that_tell_little_make_no_other_answer(desk, sentence, monkeypatch):
    order = desk.target(Question(sentence), size=USERS).users
    filled(desk)
    closely: list[Demand] = []
    nearly = Held.nearly
    monkeypatch.setattr(Held, "nearly", lambda self, demand: closely.append(demand) or nearly(self, demand))
    between = Held.between

    def loose(self, demand):
        found = between(self, demand)
        return Bounds(found.likely_B, found.low_B - 1, found.high_B + 1)

    monkeypatch.setattr(Held, "between", loose)
    answers = [desk.target(Question(sentence), size=4).users]
    monkeypatch.setattr("serving.ranking.UNSURE", 0)
    answers += [desk.target(Question(sentence), size=4).users]

    assert answers == [order[:4]] * 2
    assert closely


def test_of_a_single_sentence_histories_are_not_read_in_full(desk, monkeypatch):
    filled(desk)
    monkeypatch.setattr(Held, "nearly", lambda *_: 1 / 0)

    assert len(desk.target(Question("picnic"), size=4).users) == 4


def test_a_server_hastens_its_model(desk, monkeypatch):
    hastened: list[WordModel] = []
    monkeypatch.setattr(WordModel, "hasten", lambda self: hastened.append(self))

    filled(desk)

    assert hastened == [desk.ready().model]


def test_all_who_are_tied_with_the_last_are_listed_and_the_first_by_id_answered(desk, monkeypatch):
    filled(desk)
    monkeypatch.setattr("serving.held.Held.between", lambda self, demand: Bounds(*[np.zeros(len(self.names))] * 3))
    monkeypatch.setattr("model.placed.Histories.scores", lambda self, asked, products: np.zeros(len(self)))

    assert [user.user_id for user in desk.target(Question("picnic"), size=4).users] == EVERYBODY[:4]


def test_no_model_is_asked_while_one_is_exported(desk, monkeypatch):
    """torch traces whatever is called in the process meanwhile."""
    exporting, go_on, asked = threading.Event(), threading.Event(), []

    def hasten(self):
        exporting.set()
        assert go_on.wait(30)
        exporting.clear()

    uncalibrated = WordModel.uncalibrated

    def checked(self, *given):
        asked.append(exporting.is_set())
        return uncalibrated(self, *given)

    monkeypatch.setattr(WordModel, "hasten", hasten)
    monkeypatch.setattr(WordModel, "uncalibrated", checked)
    desk.fill_memory()
    assert exporting.wait(30)
    askers = [threading.Thread(target=desk.target, args=(Question("picnic"),), kwargs={"size": 3}) for _ in range(3)]
    for asker in askers:
        asker.start()
    time.sleep(0.2)
    assert asked == []
    go_on.set()
    for asker in askers:
        asker.join(30)

    assert asked == [False] * 3


def test_who_asks_may_ask_again_within_while_another_waits_to_be_alone():
    models, order = Models(), []
    waits = threading.Thread(target=lambda: [order.append("alone") for _ in [0] if models.alone().__enter__() is None])
    with models.asking():
        waits.start()
        time.sleep(0.1)
        with models.asking():
            order.append("within")
    waits.join(10)

    assert order == ["within", "alone"]
