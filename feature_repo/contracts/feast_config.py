"""Feast's configuration for one set of settings, as plain data: jobs and serving open the same store."""

from typing import Any

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings

PROJECT = "found"
BATCH_USERS = 2000
"""Users per online write: it bounds memory, and how long a reader may have to wait for SQLite."""


def feast_config(settings: Settings) -> dict[str, Any]:
    """The fields of Feast's RepoConfig; with default settings those of feature_store.yaml.

    Raises FoundError where the work directory is not set or the online store is unknown.
    """
    return {
        "project": PROJECT,
        "provider": "local",
        "registry": str(settings.work.feast / "registry.db"),
        "offline_store": {"type": "duckdb"},
        "online_store": _online_store(settings),
        "entity_key_serialization_version": 3,
        "materialization": {"online_write_batch_size": BATCH_USERS},
    }


def _online_store(settings: Settings) -> dict[str, Any]:
    if settings.online_store == "sqlite":
        return {"type": "sqlite", "path": str(settings.work.feast / "online.db")}
    if settings.online_store == "redis":
        return {"type": "redis", "connection_string": settings.redis}
    raise FoundError(
        f"online_store must be `sqlite` or `redis`, found {settings.online_store!r}: set FOUND_ONLINE_STORE."
    )
