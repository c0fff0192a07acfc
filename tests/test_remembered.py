"""Rows that were read once are not read again, and are those of the index."""

import numpy as np
import pytest
from audience_doubles import USERS, open_desk, published, weighted_texts
from serving_doubles import user_name

from serving.index import UserIndex
from serving.question import Question
from serving.remembered import Remembered

EVERYBODY = [user_name(at) for at in range(USERS)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = open_desk(published(tmp_path_factory.mktemp("work")))
    yield desk
    desk.close()


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Every user whose vector is read from the index."""
    asked: list[str] = []
    reading = UserIndex.read

    def counted(self, name, condition, columns):
        asked.extend(condition.params["v0"] if "vector" in columns else ())
        return reading(self, name, condition, columns)

    monkeypatch.setattr(UserIndex, "read", counted)
    return asked


def test_what_is_remembered_is_what_the_index_holds_and_is_read_once(desk, read):
    rows = Remembered(desk._index, "users_v1", megabytes=1)
    some = [EVERYBODY[7], "nobody", *EVERYBODY[20:30]]

    for _ in range(2):
        found = rows.of(some)
    assert read == [*some, "nobody"]
    stored, weighted = desk._index.vectors("users_v1", some), weighted_texts(desk._index, some)

    assert found.names == [user for user in some if user != "nobody"]
    for user, vector, texts in zip(found.names, *found.stored(), strict=True):
        assert np.array_equal(vector, stored[user]) and vector.dtype == np.float32
        assert all(np.array_equal(*both) for both in zip(texts, weighted[user], strict=True))


def test_no_more_is_remembered_than_was_allowed(desk, read, monkeypatch):
    rows = Remembered(desk._index, "users_v1", megabytes=0)
    assert rows.of(EVERYBODY).names == rows.of(EVERYBODY).names == EVERYBODY
    assert len(read) == 2 * USERS
    rows._left = 5_000
    rows.of(EVERYBODY)
    assert 0 < len(rows._rows) < 7 and rows._left >= 0


def test_a_question_asked_again_reads_nothing_and_is_answered_alike(desk, read):
    first = desk.target(Question("a garden plant"), size=5)
    assert set(read) >= {user.user_id for user in first.users}
    read.clear()
    assert desk.target(Question("a garden plant"), size=5) == first and read == []
