"""One user out of Feast's online store. Feast itself deletes only whole views."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feast import FeatureStore, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from feature_repo.contracts.feast_config import feast_config
from feature_repo.contracts.names import JOIN_KEY
from feature_repo.contracts.settings import Settings
from serving.erasure.redis_files import write_anew
from serving.errors import FeaturesUnreachable
from serving.user_features import redis_client

_WAIT_SECONDS = 60.0


FILES_OF_OTHERS = "Redis does not let its files be written anew: they are its operator's"


@dataclass(frozen=True)
class FromOnline:
    """How many features went, and what was done about the store's files."""

    features: int
    compacted: str


def forget(settings: Settings, user_id: str) -> FromOnline:
    """Removes every feature of the user. SQLite overwrites what it frees, Redis writes its files anew."""
    config = feast_config(settings)
    key = entity_key(user_id, config["entity_key_serialization_version"])
    if settings.online_store == "redis":
        return _from_redis(config, key + config["project"].encode())
    path = Path(config["online_store"]["path"])
    return FromOnline(_from_sqlite(path, key) if path.is_file() else 0, "VACUUM")


def entity_key(user_id: str, version: int) -> bytes:
    """How Feast spells the user."""
    proto = EntityKey(join_keys=[JOIN_KEY], entity_values=[Value(string_val=user_id)])
    return bytes(serialize_entity_key(proto, entity_key_serialization_version=version))


def _from_sqlite(path: Path, key: bytes) -> int:
    with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete = ON")
        found = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = [name for name, sql in found if "entity_key" in (sql or "")]
        gone = sum(database.execute(f'DELETE FROM "{each}" WHERE entity_key = ?', (key,)).rowcount for each in tables)
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return gone


def _from_redis(config: dict[str, object], key: bytes) -> FromOnline:
    store = FeatureStore(config=RepoConfig(**config))
    try:
        client = redis_client(store)
        features = int(client.hlen(key))
        client.delete(key)
        return FromOnline(features, _compacted(client))
    except RedisError as error:
        raise FeaturesUnreachable(f"the online store in Redis cannot be reached: {error}.") from error


def _compacted(client: Any) -> str:
    try:
        return write_anew(client)
    except ResponseError as error:
        if not isinstance(error, NoPermissionError) and "unknown command" not in str(error):
            raise
        return FILES_OF_OTHERS  # a hosted Redis keeps such commands to itself
