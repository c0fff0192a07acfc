"""Erasing from a Milvus server and from Redis: what is asked of them, and that compaction is awaited."""

from contextlib import contextmanager

import pytest
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import NoPermissionError, ResponseError

from feature_repo.contracts.settings import Settings
from serving.erasure import index_rows, online
from serving.erasure.person import Person
from serving.errors import FeaturesUnreachable, IndexUnreachable
from serving.milvus import Milvus

ANNA = Person("anna")


class Server:
    """A Milvus server with two collections that hold the user; it needs three looks to compact."""

    def __init__(self) -> None:
        self.rows = {"users_v1": {"anna", "bert"}, "users_v2": {"anna"}}
        self.asked: list[tuple[str, ...]] = []
        self.looks = 0

    def list_collections(self):
        return [*self.rows, "another"]

    def query(self, name, **asked):
        wanted = asked["filter_params"]["v0"]
        return [{"count(*)": len(self.rows[name] & set(wanted))}]

    def load_collection(self, name):
        pass

    def delete(self, name, filter, filter_params):
        self.rows[name] -= set(filter_params["v0"])
        self.asked.append(("delete", name))

    def alter_collection_properties(self, name, properties):
        assert list(properties) == ["found_written"], "a server that holds the rows reads them anew"
        self.asked.append(("stamp", name))

    def flush(self, name):
        self.asked.append(("flush", name))

    def compact(self, name):
        self.asked.append(("compact", name))
        self.looks = 3
        return len(self.asked)

    def get_compaction_state(self, job):
        self.looks -= 1
        self.asked.append(("state", str(self.looks)))
        return "Completed" if self.looks == 0 else "Executing"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(index_rows, "_POLL_SECONDS", 0)
    return Server()


def index_of(server: Server):
    from serving.index import UserIndex

    milvus = object.__new__(Milvus)

    @contextmanager
    def client():
        yield server

    milvus.__dict__.update(file=None, client=client, _binds=False)
    return UserIndex(milvus)


def test_a_server_deletes_flushes_and_compacts_every_collection_and_is_waited_for(server):
    found = index_rows.forget(index_of(server), ANNA)

    assert (found.rows, server.rows) == (2, {"users_v1": {"bert"}, "users_v2": set()})
    looks = [("state", "2"), ("state", "1"), ("state", "0")]
    each = [[("delete", n), ("stamp", n), ("flush", n), ("compact", n), *looks] for n in ("users_v1", "users_v2")]
    assert server.asked == [*each[0], *each[1]]
    assert found.compacted == "compacted by the Milvus server; its garbage collection removes the old files"


def test_a_compaction_without_an_end_is_an_error(server, monkeypatch):
    monkeypatch.setattr(index_rows, "_COMPACTION_SECONDS", -1.0)
    with pytest.raises(IndexUnreachable, match="Milvus has not compacted users_v1 within -1 seconds"):
        index_rows.forget(index_of(server), ANNA)


class Redis:
    def __init__(self, kept: dict[bytes, int]) -> None:
        self.kept, self.refusal = kept, ResponseError("unknown command 'CONFIG'")

    def hlen(self, key):
        return self.kept.get(key, 0)

    def delete(self, key):
        self.kept.pop(key, None)

    def config_get(self, name):
        raise self.refusal


class Gone:
    def hlen(self, key):
        raise Unreachable("refused")


def settings_of(tmp_path) -> Settings:
    return Settings(workdir=str(tmp_path), online_store="redis", redis="cache:6379")


def test_redis_forgets_the_key_of_the_user_and_no_other(tmp_path, monkeypatch):
    from feast.infra.online_stores.redis import RedisOnlineStore, _redis_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    keys = {
        user: _redis_key("found", EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user)]), 3)
        for user in ("anna", "bert")
    }
    client = Redis({keys["anna"]: 7, keys["bert"]: 7})
    monkeypatch.setattr(RedisOnlineStore, "_get_client", lambda self, config: client)

    assert online.forget(settings_of(tmp_path), "anna") == online.FromOnline(7, online.FILES_OF_OTHERS)
    assert client.kept == {keys["bert"]: 7}
    client.refusal = NoPermissionError("this user has no permissions")
    assert online.forget(settings_of(tmp_path), "anna") == online.FromOnline(0, online.FILES_OF_OTHERS)
    client.refusal = ResponseError("Background save already in progress")
    with pytest.raises(FeaturesUnreachable, match="Background save already in progress"):
        online.forget(settings_of(tmp_path), "anna")


def test_a_redis_that_does_not_answer_is_named(tmp_path, monkeypatch):
    from feast.infra.online_stores.redis import RedisOnlineStore

    monkeypatch.setattr(RedisOnlineStore, "_get_client", lambda self, config: Gone())
    with pytest.raises(FeaturesUnreachable, match="the online store in Redis cannot be reached: refused"):
        online.forget(settings_of(tmp_path), "anna")
