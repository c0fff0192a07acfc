"""Lookups in Feast's online store, as the columns of inputs.py."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from feature_repo.contracts.names import JOIN_KEY, PROFILE, SERVING_SERVICE, TIMESTAMP

if TYPE_CHECKING:
    from feast import FeatureStore

_STAMP = "__ts"
"""What Feast ends the name of a feature's timestamp with."""


def online_columns(store: "FeatureStore", user_ids: Sequence[str]) -> dict[str, list[Any]]:
    """One value per user and column: `user_id`, `found`, `event_timestamp`, and those of the serving feature service.

    Columns carry their own names, those of the profile `profile__<column>`. A user who was never
    materialised has found = False and None in every column. `event_timestamp` are the cut-offs that the user's
    values are of, in seconds, ascending: one, unless views of different days were loaded.
    """
    users = [str(user) for user in user_ids]
    if not users:
        return {JOIN_KEY: [], "found": []}
    response = store.get_online_features(
        features=store.get_feature_service(SERVING_SERVICE, allow_cache=True),
        entity_rows=[{JOIN_KEY: user} for user in users],
        full_feature_names=True,  # a lake's profile column may be called like one of ours
    ).to_dict(include_event_timestamps=True)
    columns: dict[str, list[Any]] = {JOIN_KEY: users, "found": [False] * len(users)}
    stamps = [values for name, values in response.items() if name.endswith(_STAMP)]
    columns[TIMESTAMP] = [tuple(sorted({stamp for stamp in own if stamp})) for own in zip(*stamps, strict=True)]
    for name, values in response.items():
        if name == JOIN_KEY or name.endswith(_STAMP):
            continue
        view, own = name.split("__", 1)
        columns[name if view == PROFILE else own] = list(values)
        if view != PROFILE:
            columns["found"] = [f or v is not None for f, v in zip(columns["found"], values, strict=True)]
    return columns
