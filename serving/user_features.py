"""A user's features as Feast serves them online."""

import math
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from feast import FeatureStore, RepoConfig
from feast.errors import FeastObjectNotFoundException
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from feature_repo.contracts.events import BEHAVIOUR_SOURCES
from feature_repo.contracts.feast_config import feast_config
from feature_repo.contracts.names import HISTORY, JOIN_KEY, PROFILE, SEARCHES, SERVING_SERVICE
from feature_repo.contracts.settings import Settings
from feature_repo.online import online_columns
from serving.errors import FeaturesMissing, FeaturesUnreachable, UserWithoutFeatures
from serving.facts import normal_name
from serving.telemetry.stages import stage

ANSWER_SECONDS = 5
"""Redis is taken to hang beyond it."""
REST_SECONDS = 30
"""A store that could not be reached is not asked again before, so that questions do not wait for it one by one."""
VIEWS = {**dict.fromkeys(BEHAVIOUR_SOURCES, HISTORY), "searches": SEARCHES}


class OnlineFeatures:
    """Feast's online store of one work directory; thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._store = _open(settings)
        self._denied = {normal_name(name) for name in settings.names("denied_fields")}
        self._turn = threading.Lock()
        self._rests_until = 0.0

    def of(self, user_id: str) -> dict[str, dict[str, Any]]:
        """The features of the serving service, by view, without denied ones. Raises UserWithoutFeatures."""
        features: dict[str, dict[str, Any]] = {}
        for name, values in self._read(SERVING_SERVICE, [user_id]).items():
            if name != JOIN_KEY:
                view, own = name.split("__", 1)
                if view == PROFILE and normal_name(own) in self._denied:
                    continue
                features.setdefault(view, {})[own] = _plain(values[0])
        if all(value is None for view in features.values() for value in view.values()):
            raise UserWithoutFeatures(f"the online store has no features of user {user_id!r}.")
        return features

    def events(self, user_ids: Sequence[str]) -> dict[str, list[tuple[str, int, int]]]:
        """Per user (source, day since 1970-01-01, text key) of what is kept of them, by source, newest first."""
        if not user_ids:
            return {}
        names = [f"{view}:{source}_{kind}" for source, view in VIEWS.items() for kind in ("text", "day")]
        found = self._read(names, user_ids)
        return {user: _events(found, at) for at, user in enumerate(user_ids)}

    @stage("features")
    def columns_of(self, user_id: str) -> dict[str, list[Any]]:
        """See `online_columns`. Raises UserWithoutFeatures."""
        with self._reading():
            found = online_columns(self._store, [user_id])
        if not found["found"][0]:
            raise UserWithoutFeatures(f"the online store has no features of user {user_id!r}.")
        return found

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """One reader at a time. Raises FeaturesMissing or FeaturesUnreachable."""
        with self._turn:
            if time.monotonic() < self._rests_until:
                raise FeaturesUnreachable("the online store could not be reached a moment ago.")
            try:
                yield
            except FeastObjectNotFoundException as error:
                raise FeaturesMissing(f"the online store holds no features yet: {error}.") from error
            except (RedisError, sqlite3.Error) as error:
                if isinstance(error, RedisError):
                    self._rests_until = time.monotonic() + REST_SECONDS
                raise FeaturesUnreachable(f"the online store cannot be read: {error}.") from error

    @stage("features")
    def _read(self, wanted: str | list[str], user_ids: Sequence[str]) -> Mapping[str, list[Any]]:
        """Features by name, or those of a service, as `view__feature`: a profile may call a column like one of ours."""
        rows = [{JOIN_KEY: user} for user in user_ids]
        with self._reading():
            features = self._store.get_feature_service(wanted) if isinstance(wanted, str) else wanted
            found = self._store.get_online_features(features=features, entity_rows=rows, full_feature_names=True)
            return dict(found.to_dict())


def _open(settings: Settings) -> FeatureStore:
    """The store. Redis has a deadline, where its connection string has none, and is asked again once, at once."""
    config = feast_config(settings)
    online = config["online_store"]
    if online["type"] != "redis":
        return FeatureStore(config=RepoConfig(**config))
    if "socket_timeout=" not in online["connection_string"]:
        timed = f"{online['connection_string']},socket_timeout={ANSWER_SECONDS}"
        config |= {"online_store": online | {"connection_string": timed}}
    store = FeatureStore(config=RepoConfig(**config))
    redis_client(store).set_retry(Retry(NoBackoff(), 1))
    return store


def redis_client(store: FeatureStore) -> Any:
    """Feast's own client: it alone knows how a connection string is read."""
    return store._get_provider().online_store._get_client(store.config.online_store)


def _events(found: Mapping[str, list[Any]], at: int) -> list[tuple[str, int, int]]:
    events: list[tuple[str, int, int]] = []
    for source, view in VIEWS.items():
        texts, days = found[f"{view}__{source}_text"][at] or [], found[f"{view}__{source}_day"][at] or []
        events += [(source, day, key) for key, day in zip(texts, days, strict=True) if key]
    return events


def _plain(value: Any) -> Any:
    """The value as JSON knows it: null for NaN."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
