"""The point-in-time join of a Spark job: Feast's Spark offline store in the job's own session."""

import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import ENTITY, JOIN_KEY, PROFILE, TIMESTAMP

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PROFILE_PREFIX = f"{PROFILE}__"
EXACT = timedelta(seconds=1)
_REGEX_NAMES = "spark.sql.parser.quotedRegexColumnNames"


def snapshot_column(view: str) -> str:
    """The column that tells which snapshot of a view was joined."""
    return f"{view}_snapshot"


def point_in_time(spark: "SparkSession", entity_df: "DataFrame", views: Mapping[str, "DataFrame"]) -> "DataFrame":
    """The rows of `entity_df` (user_id, event_timestamp, any others) with the views' columns as of their time.

    A view is a frame with user_id, event_timestamp and its own columns, at most one row per user and time. It
    adds its columns (those of the profile as `profile__<column>`) and `<view>_snapshot`: the joined
    event_timestamp in unix seconds (bigint), null where the user has no snapshot within the second that ends
    at the row's time, so a stale one never joins. The rows' order is not kept. The session's time zone must be
    UTC. Raises FoundError for a row (user, time) given twice, which Feast would drop silently.
    """
    if (zone := spark.conf.get("spark.sql.session.timeZone")) not in ("UTC", "Etc/UTC"):
        raise FoundError(f"the Spark session's time zone must be UTC, found {zone}: set spark.sql.session.timeZone.")
    _refuse_duplicates(entity_df)
    with tempfile.TemporaryDirectory() as folder, _feast_in(spark):
        joined = _joined(entity_df, views, Path(folder))
    others = [c for c in entity_df.columns if c not in (JOIN_KEY, TIMESTAMP)]
    columns = [joined[JOIN_KEY], joined[TIMESTAMP].cast("timestamp").alias(TIMESTAMP), *(joined[c] for c in others)]
    for view, frame in views.items():
        prefix = PROFILE_PREFIX if view == PROFILE else ""
        columns += [joined[view].getField(name).alias(prefix + name) for name in _own(frame)]
        columns.append(joined[snapshot_column(view)])
    return joined.select(*columns)


def _refuse_duplicates(entity_df: "DataFrame") -> None:
    twice = entity_df.groupBy(JOIN_KEY, TIMESTAMP).count().filter("count > 1").head()
    if twice is not None:
        raise FoundError(
            f"the entity frame must hold each user and cut-off once, found {twice[JOIN_KEY]!r} at "
            f"{twice[TIMESTAMP]} {twice['count']} times: drop the duplicates before the point-in-time join."
        )


def _own(frame: "DataFrame") -> list[str]:
    return [c for c in frame.columns if c not in (JOIN_KEY, TIMESTAMP)]


def _joined(entity_df: "DataFrame", views: Mapping[str, "DataFrame"], folder: Path) -> "DataFrame":
    from feast import Entity, FeatureStore, RepoConfig, ValueType

    config = RepoConfig(
        project="found_job",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": "spark"},
        online_store=None,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    user = Entity(name=ENTITY, join_keys=[JOIN_KEY], value_type=ValueType.STRING)
    feature_views = [_feature_view(user, view, frame) for view, frame in views.items()]
    store.apply([user, *feature_views])
    features = [f"{v.name}:{f.name}" for v in feature_views for f in v.features]
    # Feast reads the range of times into Python, where only a zoneless time is safe from the machine's zone.
    entities = entity_df.withColumn(TIMESTAMP, entity_df[TIMESTAMP].cast("timestamp_ntz"))
    joined: DataFrame = store.get_historical_features(entity_df=entities, features=features).to_spark_df()
    return joined


def _feature_view(user: Any, view: str, frame: "DataFrame") -> Any:
    """A view whose columns travel as one struct: they may have any names, and Feast's SQL quotes none."""
    from feast import FeatureView, Field
    from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
    from feast.types import Int64, String, Struct
    from pyspark.sql.functions import struct, unix_timestamp

    packed = frame.select(
        JOIN_KEY,
        frame[TIMESTAMP].cast("timestamp_ntz").alias(TIMESTAMP),
        struct(*(frame["`" + name.replace("`", "``") + "`"] for name in _own(frame))).alias(view),
        unix_timestamp(TIMESTAMP).alias(snapshot_column(view)),
    )
    table = f"{view}_{uuid.uuid4().hex}"
    packed.createOrReplaceTempView(table)
    schema = [
        Field(name=JOIN_KEY, dtype=String),
        Field(name=view, dtype=Struct({name: String for name in _own(frame)})),
        Field(name=snapshot_column(view), dtype=Int64),
    ]
    source = SparkSource(name=view, table=table, timestamp_field=TIMESTAMP)
    return FeatureView(name=view, entities=[user], schema=schema, source=source, ttl=EXACT, online=False)


@contextmanager
def _feast_in(spark: "SparkSession") -> Iterator[None]:
    """Feast's Spark store changes how the session reads quoted names and warns that it is young."""
    # Imported first: the module puts a warning filter of its own before ours.
    import feast.infra.offline_stores.contrib.spark_offline_store.spark  # noqa: F401

    before = spark.conf.get(_REGEX_NAMES) or "false"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The spark (offline store|data source API)", category=RuntimeWarning)
        try:
            yield
        finally:
            spark.conf.set(_REGEX_NAMES, before)
