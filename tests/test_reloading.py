"""Which publication answers while the alias moves, the model is missing, or a collection is dropped."""

import threading
import time
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest
from audience_doubles import USERS, open_desk, published, serving
from pymilvus import MilvusException
from serving_doubles import DAY, TEXTS, WORDS, WordModel, embedded, words_vector, write_embeddings

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import ALIAS
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import text_key
from model.text_cache import TextTable
from serving import reloading
from serving.errors import IndexMissing, IndexUnreachable, ModelMissing, PublicationUnreadable, VersionsDisagree
from serving.publish import publish, rollback
from serving.question import Question
from serving.reloading import Reloading
from serving.rows import Publication
from serving.targeting import Targeting

NEXT = DAY + timedelta(days=1)
ONE, TWO = (Publication(f"users_{name}", 2, name, 1) for name in ("one", "two"))


@dataclass
class Opened:
    publication: Publication
    by: threading.Thread


class Doors:
    """Opens publications by name: each waits until its door is open, and fails if its model is gone."""

    def __init__(self) -> None:
        self.door = {"one": threading.Event(), "two": threading.Event()}
        self.gone: set[str] = set()
        self.opened: list[str] = []
        self.broken, self.tried = False, 0

    def __call__(self, publication: Publication, now: Opened | None) -> Opened:
        """What opens it: see Reloading."""
        assert self.door[publication.model_version].wait(10)
        self.tried += 1
        if self.broken:
            raise OSError("secret")
        if publication.model_version in self.gone:
            raise ModelMissing(f"no model {publication.model_version}.")
        self.opened.append(publication.model_version)
        return Opened(publication, threading.current_thread())


def wait_for(condition, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.fixture
def doors() -> Doors:
    doors = Doors()
    doors.door["one"].set()
    return doors


def test_the_first_publication_is_waited_for_and_opened_once(doors):
    reloads = Reloading(doors)
    found: list[Opened] = []
    askers = [threading.Thread(target=lambda: found.append(reloads.of(ONE))) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert [each.publication for each in found] == [ONE] * 8 and doors.opened == ["one"]


def test_what_fails_unexpectedly_is_told_and_not_tried_at_every_question(doors, caplog):
    reloads = Reloading(doors)
    reloads.of(ONE)
    doors.door["two"].set()
    doors.broken = True
    reloads.of(TWO)
    wait_for(lambda: reloads._failed)

    for _ in range(3):
        with pytest.raises(PublicationUnreadable, match="users_two cannot be opened: OSError"):
            reloads.of(TWO)
    assert doors.tried == 2 and "secret" not in caplog.messages


def test_the_old_publication_answers_until_the_new_one_is_open_and_nobody_waits(doors):
    reloads = Reloading(doors)
    reloads.of(ONE)

    meanwhile = [reloads.of(TWO).publication for _ in range(50)]
    doors.door["two"].set()
    wait_for(lambda: reloads.of(TWO).publication == TWO)

    assert meanwhile == [ONE] * 50 and doors.opened == ["one", "two"]
    assert reloads.of(TWO).by.name == "reload"


def test_an_alias_that_moved_back_meanwhile_is_obeyed(doors):
    reloads = Reloading(doors)
    reloads.of(ONE)
    reloads.of(TWO)
    doors.door["two"].set()
    wait_for(lambda: "two" in doors.opened)
    assert [reloads.of(ONE).publication for _ in range(3)] == [ONE] * 3


def test_what_cannot_be_opened_is_said_and_tried_again_later(doors, monkeypatch):
    reloads = Reloading(doors)
    reloads.of(ONE)
    doors.gone.add("two")
    doors.door["two"].set()

    def found() -> str:
        try:
            return reloads.of(TWO).publication.model_version
        except FoundError as error:
            return str(error)

    wait_for(lambda: found().startswith("no model two."))
    assert reloads.of(ONE).publication == ONE
    doors.gone.clear()
    assert [found()[:13] for _ in range(3)] == ["no model two."] * 3 and doors.opened == ["one"]
    monkeypatch.setattr(reloading, "PATIENCE_SECONDS", 0.0)
    wait_for(lambda: found() == "two")


def test_a_publication_that_is_waited_for_answers_at_once(doors):
    reloads = Reloading(doors)
    reloads.of(ONE)
    doors.door["two"].set()
    assert reloads.wait_for(TWO).publication == TWO == reloads.of(TWO).publication
    assert doors.opened == ["one", "two"]


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Settings:
    """A work directory where v2 is served and v1 is kept; both models lie there."""
    settings = published(tmp_path_factory.mktemp("both"))
    write_embeddings(settings.work, NEXT, embedded(USERS), version="v2")
    return settings


@pytest.fixture
def desk(both):
    """A desk on its index, v1 published."""
    desk = open_desk(both)
    publish(desk._index, both.work, DAY)
    yield desk
    desk.close()


def versions(audience) -> tuple[str, str, str]:
    return audience.model_version, audience.collection, audience.ds


def test_an_alias_that_another_process_moves_is_followed_and_a_rollback_too(desk, both):
    assert versions(desk.target(Question("picnic"), size=3)) == ("v1", "users_v1", "2024-06-01")

    publish(desk._index, both.work, NEXT)
    wait_for(lambda: versions(desk.target(Question("picnic"), size=3)) == ("v2", "users_v2", "2024-06-02"))
    rollback(desk._index, both.work)
    wait_for(lambda: versions(desk.target(Question("picnic"), size=3)) == ("v1", "users_v1", "2024-06-01"))


def test_what_the_desk_publishes_answers_the_next_question(desk):
    desk.publish(NEXT)
    assert desk.target(Question("picnic"), size=3).model_version == "v2"
    desk.rollback()
    assert desk.target(Question("picnic"), size=3).model_version == "v1"


def test_a_question_whose_collection_is_dropped_is_asked_again(desk, monkeypatch):
    desk.ready()
    asked = Targeting.target

    def dropped(self: Targeting, *given, **more):
        if self.publication.model_version == "v1":
            desk.publish(NEXT)
            desk._index.drop("users_v1")
        return asked(self, *given, **more)

    monkeypatch.setattr(Targeting, "target", dropped)
    monkeypatch.setattr(desk, "_thinking", threading.RLock())
    assert versions(desk.target(Question("picnic"), size=3)) == ("v2", "users_v2", "2024-06-02")


def test_a_collection_that_is_gone_under_its_alias_is_no_endless_question(desk, monkeypatch):
    def gone(*_, **__):
        raise IndexMissing("gone.")

    monkeypatch.setattr(Targeting, "target", gone)
    with pytest.raises(IndexMissing, match=r"gone\."):
        desk.target(Question("picnic"), size=3)


def cache_of(*texts: str) -> TextTable:
    known = sorted(texts, key=text_key)
    vectors = [np.zeros(WORDS, np.float32), *map(words_vector, known)]
    return TextTable(np.array([text_key(text) for text in known], np.int64), np.stack(vectors))


def test_texts_of_a_night_that_is_being_published_are_read_when_they_are_met(desk, monkeypatch):
    cached = ["old thing"]
    monkeypatch.setattr(WordModel, "text_vectors", lambda *_: cache_of(*cached))
    alike = WordModel.known

    def known(self, vectors, keys):
        vectors.rows(np.array([text_key(text) for text in TEXTS]))
        return alike(self, vectors, keys)

    monkeypatch.setattr(WordModel, "known", known)
    desk.ready()
    with pytest.raises(FoundError, match=r"text key \d+ has no vector"):
        desk.target(Question("garden plant"), size=3)
    cached += TEXTS
    assert len(desk.target(Question("garden plant"), size=3).users) == 3


def unready(client, *, code: str, told: str) -> None:
    """/readyz is red with this problem, questions are refused with it, the process is alive."""
    for answer in (client.get("/readyz"), client.post("/v1/audiences:target", json={"demand": "x"})):
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert answer.json()["code"] == code and told in answer.json()["detail"] and answer.json()["hint"]
    assert client.get("/healthz").status_code == 200


def test_readiness_turns_red_while_the_templates_disagree(tmp_path, monkeypatch):
    settings = published(tmp_path)
    with serving(settings) as client:
        assert client.get("/readyz").status_code == 200
        monkeypatch.setattr("serving.desk.TEMPLATE_VERSION", 2)
        told = "users_v1 was made with templates of version 1, this server has version 2"
        unready(client, code=VersionsDisagree.code, told=told)
        monkeypatch.undo()
        assert client.get("/readyz").status_code == 200


def test_readiness_turns_red_when_the_alias_names_a_collection_without_its_model(tmp_path):
    settings = published(tmp_path)
    write_embeddings(settings.work, NEXT, embedded(USERS), version="v2")
    (settings.work.models / "v2").rename(tmp_path / "elsewhere")
    with serving(settings) as client:
        index = client.app.state.tenants["default"].desk._index
        assert client.get("/readyz").json()["model_version"] == "v1"
        publish(index, settings.work, NEXT)
        unready(client, code=ModelMissing.code, told="users_v2 was made by model 'v2', but there is no")
        (tmp_path / "elsewhere").rename(settings.work.models / "v2")
        wait_for(lambda: client.get("/readyz").json().get("model_version") == "v2")


def test_readiness_turns_red_when_a_model_cannot_be_read(tmp_path, monkeypatch):
    settings = published(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(WordModel, "load", lambda folder: 1 / 0)
        with serving(settings) as client:
            unready(client, code=ModelMissing.code, told="cannot be read (ZeroDivisionError)")


class Unreachable:
    def __getattr__(self, name: str):
        raise MilvusException(message=f"{name}: connection refused")


def test_readiness_turns_red_while_milvus_cannot_be_reached(tmp_path):
    with serving(published(tmp_path)) as client:
        milvus = client.app.state.tenants["default"].desk._index._milvus
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(milvus, "_client", Unreachable())
            unready(client, code=IndexUnreachable.code, told="Milvus answered: has_collection: connection refused.")
        assert client.get("/readyz").status_code == 200


def test_readiness_turns_red_when_the_index_is_gone(tmp_path):
    with serving(published(tmp_path)) as client:
        with client.app.state.tenants["default"].desk._index._milvus.client() as milvus:
            milvus.drop_alias(ALIAS)
        unready(client, code=IndexMissing.code, told="no collection is published under the alias 'users'")
