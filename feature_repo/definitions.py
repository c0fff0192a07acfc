"""All Feast objects of FOUND: one entity, its feature views, two feature services.

Everything is in this one file because Feast imports each file of a repository under a name of its own, and
objects split over files that import each other would register twice.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.data_format import ParquetFormat
from feast.types import Array, FeastType, Float32, Float64, Int32, Int64, String

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.inputs import Column, Lengths, activity_columns, history_columns, search_columns
from feature_repo.contracts.names import (
    ACTIVITY,
    DESCRIPTION,
    EMBEDDING,
    ENTITY,
    HISTORY,
    JOIN_KEY,
    PROFILE,
    SEARCHES,
    SERVING_SERVICE,
    TIMESTAMP,
    TRAINING_SERVICE,
    Workdir,
)
from feature_repo.contracts.settings import read_settings
from feature_repo.contracts.templates import TEMPLATES

TTL = timedelta(days=1)
"""A snapshot is good for its own day: an older one never joins."""

_SCALARS: dict[str, FeastType] = {"int64": Int64, "int32": Int32, "float32": Float32}


@dataclass(frozen=True)
class Definitions:
    """What one work directory registers. `profile` is missing where its lake has no profile columns."""

    user: Entity
    views: tuple[FeatureView, ...]
    services: tuple[FeatureService, ...]

    @property
    def objects(self) -> list[Any]:
        """All of them, in the order in which Feast can register them."""
        return [self.user, *self.views, *self.services]


def user_entity() -> Entity:
    return Entity(name=ENTITY, join_keys=[JOIN_KEY], value_type=ValueType.STRING)


def key_field() -> Field:
    """The join key, declared in every view: otherwise Feast reads the files, which may not exist yet."""
    return Field(name=JOIN_KEY, dtype=String)


def contract_fields(columns: Sequence[Column]) -> list[Field]:
    """The contract's columns as Feast fields: an array is an Array, whatever its length."""
    return [Field(name=c.name, dtype=Array(_SCALARS[c.kind]) if c.length else _SCALARS[c.kind]) for c in columns]


def profile_fields(work: Workdir) -> list[Field]:
    """The profile columns of the work directory's lake; none before the first features are built."""
    if not work.profile_schema.exists():
        return []
    try:
        schema = json.loads(work.profile_schema.read_text())
        categorical, numeric = list(schema["categorical"]), list(schema["numeric"])
    except (ValueError, KeyError, TypeError) as error:
        raise FoundError(
            f"{work.profile_schema} must be JSON with the lists `categorical` and `numeric`, but it cannot be read "
            f"({error!r}): build the features again with spark_jobs/build_features.py."
        ) from error
    return [Field(name=c, dtype=String) for c in categorical] + [Field(name=c, dtype=Float64) for c in numeric]


def define(work: Workdir) -> Definitions:
    """The objects whose offline data lie below `work`. Equal work directories give equal objects."""
    user = user_entity()
    lengths = Lengths()  # a Feast array has no length: any will do

    def view(name: str, schema: list[Field], *, online: bool = True) -> FeatureView:
        files = str(work.view(name) / "ds=*" / "part-*.parquet")
        source = FileSource(name=name, path=files, timestamp_field=TIMESTAMP, file_format=ParquetFormat())
        fields = [key_field(), *schema]
        return FeatureView(name=name, entities=[user], schema=fields, source=source, ttl=TTL, online=online)

    inputs = [view(HISTORY, contract_fields(history_columns(lengths)))]
    inputs.append(view(SEARCHES, contract_fields(search_columns(lengths))))
    if columns := profile_fields(work):
        inputs.append(view(PROFILE, columns))
    inputs.append(view(ACTIVITY, contract_fields(activity_columns())))
    description = view(DESCRIPTION, [Field(name=t.kind, dtype=String) for t in TEMPLATES], online=False)
    embedding = view(
        EMBEDDING,
        [
            Field(name="vector", dtype=Array(Float32)),
            Field(name="text_keys", dtype=Array(Int64)),
            Field(name="text_weights", dtype=Array(Float32)),
            Field(name="input_hash", dtype=String),
            Field(name="model_version", dtype=String),
        ],
    )
    services = (
        FeatureService(name=TRAINING_SERVICE, features=[*inputs, description]),
        FeatureService(name=SERVING_SERVICE, features=list(inputs)),
    )
    return Definitions(user=user, views=(*inputs, description, embedding), services=services)


@cache
def _of_the_environment() -> dict[str, Any]:
    definitions = define(read_settings(os.environ, Path.cwd()).work)
    return {o.name: o for o in definitions.objects}


def __dir__() -> list[str]:
    """What `feast apply` finds when it lists this module: the objects of FOUND_WORKDIR, made only then."""
    return [*globals(), *_of_the_environment()]


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name not in _of_the_environment():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _of_the_environment()[name]
