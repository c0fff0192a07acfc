"""A user's features as Feast serves them online."""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from feast import FeatureStore, RepoConfig
from feast.errors import FeastObjectNotFoundException

from feature_repo.contracts.events import BEHAVIOUR_SOURCES
from feature_repo.contracts.feast_config import feast_config
from feature_repo.contracts.names import HISTORY, JOIN_KEY, PROFILE, SEARCHES, SERVING_SERVICE
from feature_repo.contracts.settings import Settings
from feature_repo.online import online_columns
from serving.errors import FeaturesMissing, UserWithoutFeatures
from serving.facts import normal_name
from serving.telemetry.stages import stage

VIEWS = {**dict.fromkeys(BEHAVIOUR_SOURCES, HISTORY), "searches": SEARCHES}


class OnlineFeatures:
    """Feast's online store of one work directory; thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._store = FeatureStore(config=RepoConfig(**feast_config(settings)))
        self._denied = {normal_name(name) for name in settings.names("denied_fields")}
        self._turn = threading.Lock()

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
        with self._turn, _named_missing():
            found = online_columns(self._store, [user_id])
        if not found["found"][0]:
            raise UserWithoutFeatures(f"the online store has no features of user {user_id!r}.")
        return found

    @stage("features")
    def _read(self, wanted: str | list[str], user_ids: Sequence[str]) -> Mapping[str, list[Any]]:
        """Features by name, or those of a service, as `view__feature`: a profile may call a column like one of ours."""
        rows = [{JOIN_KEY: user} for user in user_ids]
        with self._turn, _named_missing():
            features = self._store.get_feature_service(wanted) if isinstance(wanted, str) else wanted
            found = self._store.get_online_features(features=features, entity_rows=rows, full_feature_names=True)
            return dict(found.to_dict())


@contextmanager
def _named_missing() -> Iterator[None]:
    try:
        yield
    except FeastObjectNotFoundException as error:
        raise FeaturesMissing(f"the online store holds no features yet: {error}.") from error


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
