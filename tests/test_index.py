"""The user index on a real Milvus Lite."""

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from gate import Gate
from milvus_lite.adapter.grpc import server as lite
from milvus_lite.server_manager import server_manager_instance
from ports import unused

from feature_repo.contracts.settings import Settings
from serving.errors import AudienceTooLarge, IndexLocked, IndexMissing, IndexUnreachable, PublicationRefused
from serving.expressions import EVERYBODY
from serving.facts import Column
from serving.index import MOST_USERS, open_index
from serving.rows import Publication, Row

A = Publication("users_a", 3, "a", 1)


@pytest.fixture
def index(tmp_path):
    with open_index(Settings(workdir=str(tmp_path))) as index:
        index.create(A)
        yield index


NO_TEXTS = np.zeros(0, np.int64), np.zeros(0, np.float32)


def rows(vectors):
    return [
        Row(user, np.asarray(v, dtype=np.float32), NO_TEXTS, "2024-06-01", f"h-{user}") for user, v in vectors.items()
    ]


def test_search_returns_the_highest_inner_products_not_the_smallest_angles(index):
    index.upsert("users_a", rows({"long": [0, 5, 5], "aligned": [0, 1, 0], "against": [0, -1, 0]}))

    hits = index.search("users_a", np.array([0, 1, 0], dtype=np.float32), 2)

    assert [(h.user_id, h.score) for h in hits] == [("long", 5.0), ("aligned", 1.0)]


def test_equal_scores_are_ordered_by_user_even_where_the_audience_ends(index):
    tied = [f"t{at:02d}" for at in range(40)]
    index.upsert("users_a", rows({user: [0, 1, at] for at, user in enumerate(reversed(tied))} | {"best": [0, 2, 0]}))

    hits = index.search("users_a", np.array([0, 1, 0], dtype=np.float32), 4)

    assert [h.user_id for h in hits] == ["best", "t00", "t01", "t02"]


def test_scores_are_float64_inner_products_of_the_stored_vectors(index):
    g = np.random.default_rng(1)
    vectors = {f"u{i}": g.standard_normal(3).astype(np.float32) for i in range(50)}
    index.upsert("users_a", rows(vectors))
    query = g.standard_normal(3).astype(np.float32)

    for hit in index.search("users_a", query, 50):
        assert hit.score == float(vectors[hit.user_id].astype(np.float64) @ query.astype(np.float64))


def test_fewer_users_than_asked_for_are_all_returned(index):
    index.upsert("users_a", rows({"a": [1, 0, 0], "b": [2, 0, 0]}))

    assert len(index.search("users_a", np.ones(3, dtype=np.float32), 100)) == 2


def test_user_ids_may_hold_quotes_backslashes_and_any_letter(index):
    strange = ["o'brien", 'say "hi"', "back\\slash", "é漢", "two\nlines", "-", "\x01\x7f", "{v0}"]
    index.upsert("users_a", rows({user: [at, 0, 1] for at, user in enumerate(strange)}))

    assert set(index.vectors("users_a", strange)) == set(strange)
    index.delete("users_a", strange[:3])
    assert index.count("users_a") == len(strange) - 3
    assert set(index.hashes("users_a")) == set(strange[3:])


def test_input_hashes_of_more_users_than_a_page_are_complete(index):
    users = {f"u{at:05d}": [0, 0, at] for at in range(9_000)}
    index.upsert("users_a", rows(users))

    assert index.hashes("users_a") == {user: (f"h-{user}", "") for user in users}


def test_a_sample_is_the_same_for_the_same_seed_and_leaves_out_whom_it_should(index):
    users = {f"u{at:03d}": [0, 0, at] for at in range(300)}
    index.upsert("users_a", rows(users))

    first = index.sample("users_a", 20, seed=1)

    assert first == index.sample("users_a", 20, seed=1) != index.sample("users_a", 20, seed=2)
    assert len(set(first)) == 20
    assert not set(index.sample("users_a", 280, seed=1, without=first)) & set(first)
    assert sorted(index.sample("users_a", 1_000, seed=3)) == sorted(users)


def test_a_publication_is_read_back_from_the_collection(index):
    index.stamp("users_a", ds="2024-06-01", previous="users_before")
    assert index.published() is None

    index.point_alias("users_a")

    assert index.published() == Publication("users_a", 3, "a", 1, ds="2024-06-01", previous="users_before")


def test_a_collection_is_read_and_written_after_a_restart(tmp_path):
    settings = Settings(workdir=str(tmp_path))
    with open_index(settings) as index:
        index.create(A)
        index.upsert("users_a", rows({"a": [1, 0, 0], "b": [2, 0, 0]}))
    with open_index(settings) as index:
        index.upsert("users_a", rows({"c": [3, 0, 0]}))
        index.delete("users_a", ["a"])
        assert index.count("users_a") == 2
        assert [h.user_id for h in index.search("users_a", np.ones(3, dtype=np.float32), 5)] == ["c", "b"]


def test_a_file_served_at_the_port_of_an_earlier_one_is_written_by_its_own_columns(tmp_path, monkeypatch):
    start, same = lite.start_server_in_thread, unused()
    monkeypatch.setattr(lite, "start_server_in_thread", lambda data_dir, host, port: start(data_dir, host, same))
    age = Column("age", "number", "profile_features", "age")
    for name, columns in (("earlier", (age,)), ("later", ())):
        (tmp_path / name).mkdir()
        with open_index(Settings(workdir=str(tmp_path / name))) as index:
            index.create(replace(A, columns=columns))
            assert index.upsert("users_a", rows({"ada": [1, 0, 0]})) == 1
            assert index.count("users_a") == 1


def test_more_users_than_milvus_returns_are_refused(index):
    with pytest.raises(AudienceTooLarge, match=f"at most {MOST_USERS} users, asked for {MOST_USERS + 1}") as caught:
        index.search("users_a", np.ones(3, dtype=np.float32), MOST_USERS + 1)
    assert "Ask for fewer users" in str(caught.value)


def test_a_collection_that_does_not_exist_is_named(index, capfd):
    with pytest.raises(IndexMissing, match="users_nowhere"):
        index.count("users_nowhere")
    capfd.readouterr()


def test_a_milvus_lite_folder_held_by_another_process_gives_one_clear_error(tmp_path):
    database = tmp_path / "milvus.db"
    hold = (
        "import sys; from serving.milvus import Milvus; m = Milvus(sys.argv[1]); "
        "print('held', flush=True); sys.stdin.read(); m.close()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", hold, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(IndexLocked, match="another process holds the Milvus Lite folder") as caught:
            open_index(Settings(workdir=str(tmp_path)))
        assert str(database) in str(caught.value) and "through its server" in str(caught.value)
    open_index(Settings(workdir=str(tmp_path))).close()


def test_a_milvus_server_that_does_not_answer_is_named():
    with pytest.raises(IndexUnreachable, match=r"no Milvus server answers at http://127\.0\.0\.1:9"):
        open_index(Settings(workdir="unused", milvus_uri="http://127.0.0.1:9"))


def test_a_server_that_hangs_holds_no_question_beyond_its_time(tmp_path, monkeypatch):
    with open_index(Settings(workdir=str(tmp_path))) as made:
        made.create(A)
        made.upsert("users_a", rows({"ada": [1, 0, 0], "bob": [0, 1, 0]}))
        lite_uri = server_manager_instance.start_and_get_uri(str(made.milvus.file))
        with Gate(int(lite_uri.rsplit(":", 1)[1])) as gate, open_index(Settings(milvus_uri=gate.uri)) as index:
            assert index.nearest("users_a", np.float32([1, 0, 0]), 1)[0] == "ada"
            monkeypatch.setattr("serving.index._ANSWER_SECONDS", 1)
            monkeypatch.setattr("serving.index._LOOKUP_SECONDS", 1)
            gate.shut()
            started = time.monotonic()
            for ask in (
                lambda: index.nearest("users_a", np.float32([1, 0, 0]), 1),
                lambda: index.count("users_a"),
                lambda: index.read("users_a", EVERYBODY, ["user_id"]),
            ):
                with pytest.raises(IndexUnreachable, match="Milvus did not answer: Deadline Exceeded"):
                    ask()
            with pytest.raises(IndexUnreachable, match="Milvus did not answer"):
                index.published()
            assert time.monotonic() - started < 20


def test_a_server_that_holds_no_unknown_values_says_so_before_it_is_written_to(index, monkeypatch):
    monkeypatch.setattr(index.milvus, "holds_unknown", False)
    row = replace(next(iter(rows({"ada": [1, 0, 0]}))), facts={"f_x": None})

    with pytest.raises(PublicationRefused, match="user 'ada' has columns of unknown value"):
        index.upsert("users_a", [row])
