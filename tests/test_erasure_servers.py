"""Erasing from a real Redis and a real Milvus server; tenants who share the latter."""

from dataclasses import replace
from pathlib import Path

import pytest
from audience_doubles import USERS, published, serving
from serving_doubles import DAY, embedded, user_name, write_embeddings

from feature_repo.contracts.settings import Settings
from feature_repo.store import materialize
from serving.access.keys import Keys
from serving.access.tenant_file import tenant_settings
from serving.erasure import redis_files
from serving.erasure.erase import erase
from serving.errors import FeaturesMissing, UserWithoutFeatures
from serving.expressions import among
from serving.index import open_index
from serving.publish import publish
from serving.user_features import OnlineFeatures

pytestmark = pytest.mark.slow

GONE, OTHER = user_name(7), user_name(8)


def holding(folder: Path, user: str) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and user.encode() in p.read_bytes())


@pytest.fixture
def online(tmp_path, redis_server) -> Settings:
    """Forty users whose features are in Redis, and in its files."""
    settings = replace(published(tmp_path / "work"), online_store="redis", redis=redis_server.address)
    materialize(settings, DAY)
    redis_server.client.save()
    assert len(holding(redis_server.files, GONE)) == 2, "an append-only file and a dump"
    return settings


def test_a_user_leaves_redis_and_its_files_and_nobody_else_does(online, redis_server):
    assert OnlineFeatures(online).of(GONE)

    receipt = erase(online, None, GONE)

    (place,) = [each for each in receipt.places if each.name == "online features"]
    assert place.removed > 0 and place.compacted == "append-only file and dump written anew"
    assert holding(redis_server.files, GONE) == [] and holding(redis_server.files, OTHER)
    assert not [key for key in redis_server.client.scan_iter() if GONE.encode() in key]
    assert redis_server.client.dbsize() == USERS - 1 and OnlineFeatures(online).of(OTHER)
    with pytest.raises(UserWithoutFeatures):
        OnlineFeatures(online).of(GONE)
    materialize(online, DAY)
    assert redis_server.client.dbsize() == USERS - 1, "the block list keeps the user out"


def test_a_redis_without_files_begins_none_and_one_that_cannot_write_them_is_named(online, redis_server, tmp_path):
    client = redis_server.client
    client.config_set("appendonly", "no")
    redis_server.files.joinpath("dump.rdb").unlink()
    redis_server.files.joinpath("dump.rdb").mkdir()
    with pytest.raises(FeaturesMissing, match="rdb_last_bgsave_status is 'err'"):
        redis_files.write_anew(client)
    client.config_set("save", "")
    assert redis_files.write_anew(client) == redis_files.NO_FILES


def test_a_user_leaves_every_collection_of_a_milvus_server(tmp_path, milvus_server):
    settings = replace(published(tmp_path), milvus_uri=milvus_server, milvus_database="erasure")
    with open_index(settings) as index:
        publish(index, settings.work, DAY)
        write_embeddings(settings.work, DAY, embedded(USERS), version="v2")
        publish(index, settings.work, DAY)
        assert index.collections() == ["users_v1", "users_v2"]

        receipt = erase(settings, index, GONE)

        place = next(each for each in receipt.places if each.name == "index")
        assert place.removed == 2 and place.compacted.startswith("compacted by the Milvus server")
        for name in ("users_v1", "users_v2"):
            assert index.count(name) == USERS - 1 and index.count(name, among([GONE])) == 0
            assert set(index.vectors(name, [GONE, OTHER])) == {OTHER}
            hits = index.search(name, embedded(USERS)[GONE][0], USERS)
            assert len(hits) == USERS - 1 and GONE not in {hit.user_id for hit in hits}
        assert index.published().collection == "users_v2"
        assert erase(settings, index, GONE).places[0].removed == 0
        again = publish(index, settings.work, DAY)
        assert (again.users, again.written, again.deleted) == (USERS - 1, 0, 0)


def test_tenants_share_a_milvus_server_and_nothing_else(tmp_path, milvus_server):
    unknown = {"shop": user_name(1), "bank": user_name(2)}
    for name, user in unknown.items():
        write_embeddings(published(tmp_path / name).work, DAY, {u: e for u, e in embedded(USERS).items() if u != user})
    (tmp_path / "tenants.toml").write_text(
        "".join(f'[{n}]\nworkdir = "{n}"\nmilvus_database = "{n}"\nminimum_audience = 0\n' for n in unknown)
    )
    settings = Settings(tenants=str(tmp_path / "tenants.toml"), milvus_uri=milvus_server, requests_per_minute=0)
    keys = {}
    for name, own in tenant_settings(settings).items():
        with open_index(own) as index:
            publish(index, own.work, DAY)
        keys[name] = {"Authorization": f"Bearer {Keys(own.work.keys).create(name=name, role='admin')[1]}"}

    with serving(settings) as client:

        def missing(name: str) -> set[str]:
            asked = {"demand": "a picnic basket", "size": USERS}
            answer = client.post("/v1/audiences:target", json=asked, headers=keys[name])
            assert answer.status_code == 200, answer.text
            return set(embedded(USERS)) - {user["user_id"] for user in answer.json()["users"]}

        assert {name: missing(name) for name in unknown} == {name: {user} for name, user in unknown.items()}
        gone = client.delete(f"/v1/users/{OTHER}", headers=keys["shop"])
        assert gone.status_code == 200, gone.text
        assert missing("shop") == {unknown["shop"], OTHER}
        assert missing("bank") == {unknown["bank"]}
