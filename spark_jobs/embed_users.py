"""The vectors of every user of a snapshot, by the model in service, published as WORKDIR/features/embedding/ds=D.

spark-submit spark_jobs/embed_users.py --ds 2011-06-01
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.inputs import Lengths
from feature_repo.contracts.names import EMBEDDING, HISTORY, JOIN_KEY, PROFILE, TEXTS, TIMESTAMP, Workdir
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.windows import cutoff_instant, day_number
from feature_repo.embedding_days import embedded_days
from model import pointers
from model.found import FoundModel
from model.text_cache import TextTable, read_table
from spark_jobs.blocked import still_known
from spark_jobs.model_inputs import model_inputs, snapshot_inputs
from spark_jobs.partitions import publish, write_files
from spark_jobs.session import main, parser, say, spark_session

BATCH_USERS = 256
SCHEMA = (
    "user_id string, event_timestamp timestamp, vector array<float>, text_keys array<bigint>, "
    "text_weights array<float>, input_hash string, model_version string"
)
KEPT = ("vector", "text_keys", "text_weights", "input_hash")
"""What a user keeps whose input did not change: the hash tells."""
PREFIX = "kept_"
PROFILE_TYPES = {"categorical": pa.string(), "numeric": pa.float64()}
"""Of a day's column, by what a model takes it for."""


def embed_users(
    spark: SparkSession, settings: Settings, ds: date, *, model: Path, full: bool, foreign: bool = False
) -> None:
    """Publishes the partition of `ds`. Users whose input hash is that of the newest earlier partition of the same
    model keep what they have, unless `full`.

    Raises FoundError where the lake's profile lost a column of the model, or changed its type: it would be unknown of
    every user. A `foreign` model, of another lake, is told so and takes it for unknown.
    """
    work = settings.work
    if not work.partition(HISTORY, ds).exists():
        raise FoundError(f"no snapshot of {ds} in {work.root}: run spark_jobs/build_features.py --ds {ds} first.")
    found = FoundModel.from_pretrained(model)
    if lost := lost_columns(work, ds, found.metadata["profile"]):
        told = f"the model {found.version} reads profile columns that the features of {ds} do not have so: {lost}"
        if not foreign:
            raise FoundError(
                f"{told}. Give them back to the lake (values may be null) and build the features again, or train a new "
                "model."
            )
        say(f"embed: {told}; they are unknown of every user")
    cache = _cache_texts(work, ds, found)
    known = still_known(_inputs(spark, work, ds, found), work)
    rows = _with_kept(spark, known, work, ds, "" if full else found.version)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH_USERS)
    embedded = rows.mapInArrow(_embedder(str(model), str(cache)), SCHEMA)
    publish(work.partition(EMBEDDING, ds), lambda folder: write_files(embedded, folder))
    written = spark.read.parquet(str(work.partition(EMBEDDING, ds)))
    say(f"embed: {written.count()} users as of {ds} by model {found.version}")


def lost_columns(work: Workdir, ds: date, profile: Mapping[str, Sequence[str]]) -> str:
    """The profile columns of a model that a day's features lack or have of another type; empty without any."""
    types = {field.name: field.type for field in pq.read_schema(next(work.partition(PROFILE, ds).glob("*.parquet")))}
    known = sorted((name, kind) for kind in PROFILE_TYPES for name in profile[kind])
    return ", ".join(
        f"{name} ({PROFILE_TYPES[kind]}, found {types.get(name, 'none')})"
        for name, kind in known
        if types.get(name) != PROFILE_TYPES[kind]
    )


def _cache_texts(work: Workdir, ds: date, found: FoundModel) -> Path:
    """Brings every text of the snapshot into the cache; returns the cache's folder."""
    table = pq.read_table(str(work.partition(TEXTS, ds)), columns=["text_key", "text"])
    return found.cache_texts(work.text_cache, table["text_key"].to_numpy(), table["text"].to_pylist())


def _inputs(spark: SparkSession, work: Workdir, ds: date, found: FoundModel) -> DataFrame:
    metadata = found.metadata
    profile = metadata["profile"]
    joined = snapshot_inputs(spark, work, ds)
    rows = model_inputs(
        joined, Lengths(**metadata["lengths"]), categorical=profile["categorical"], numeric=profile["numeric"]
    )
    return rows.withColumn("cutoff_day", F.lit(day_number(ds)).cast("int"))


def _with_kept(spark: SparkSession, rows: DataFrame, work: Workdir, ds: date, version: str) -> DataFrame:
    """The rows with what this model gave the user in the newest earlier partition."""
    earlier = [d for d in embedded_days(work) if d < ds]
    if not version or not earlier:
        newest = spark.createDataFrame([], SCHEMA)
    else:
        newest = spark.read.schema(SCHEMA).parquet(str(work.partition(EMBEDDING, earlier[-1])))
    kept = newest.filter(F.col("model_version") == version).select(
        JOIN_KEY, *(F.col(name).alias(PREFIX + name) for name in KEPT)
    )
    partitions = spark.sparkContext.defaultParallelism
    return rows.join(kept, JOIN_KEY, how="left").repartition(partitions, JOIN_KEY).sortWithinPartitions(JOIN_KEY)


def _embedder(model: str, cache: str) -> Any:
    def embed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from spark_jobs.embed_users import embed_batch  # by name, so that a worker keeps what it has loaded

        for batch in batches:
            yield embed_batch(batch, model, cache)

    return embed


def embed_batch(batch: pa.RecordBatch, model: str, cache: str) -> pa.RecordBatch:
    """The embeddings of one Arrow batch; they are computed only where the hash has changed."""
    found, texts = loaded(model, cache)
    columns = numpy_columns(batch)
    hashes = np.array(found.input_hashes(columns), dtype=object)
    vectors, keys, weights, kept = (batch[PREFIX + name].to_pylist() for name in KEPT)
    changed = np.flatnonzero(hashes != np.array(kept, dtype=object))
    if len(changed):
        fresh = found.embed({name: values[changed] for name, values in columns.items()}, texts)
        for place, row in enumerate(changed):
            vectors[row] = fresh.vectors[place]
            keys[row], weights[row] = fresh.texts[place]
    arrays = [
        batch[JOIN_KEY],
        batch[TIMESTAMP],
        pa.array(vectors, pa.list_(pa.float32())),
        pa.array(keys, pa.list_(pa.int64())),
        pa.array(weights, pa.list_(pa.float32())),
        pa.array(hashes.tolist()),
        pa.array([found.version] * len(hashes)),
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[JOIN_KEY, TIMESTAMP, *KEPT, "model_version"])


def numpy_columns(batch: pa.RecordBatch) -> dict[str, "np.ndarray"]:
    """The input columns as [rows] or [rows, length]."""
    columns = {}
    for name in batch.schema.names:
        if name in (JOIN_KEY, TIMESTAMP) or name.startswith(PREFIX):
            continue
        values = batch[name]
        is_list = pa.types.is_list(values.type)
        flat = (values.flatten() if is_list else values).to_numpy(zero_copy_only=False)
        columns[name] = flat.reshape(len(values), -1) if is_list else flat
    return columns


@lru_cache(maxsize=1)
def loaded(model: str, cache: str) -> tuple[FoundModel, TextTable]:
    """The model and the text vectors, once per worker."""
    torch.set_num_threads(1)
    return FoundModel.from_pretrained(model), read_table(Path(cache))


def run(settings: Settings, arguments: argparse.Namespace) -> None:
    settings.require("workdir")
    ds = cutoff_instant(arguments.ds).date()
    advice = "train one with `torchrun -m model.train --stage 1`, then `--stage 2`"
    model = Path(arguments.model) if arguments.model else pointers.current(settings.work.models, missing=advice)
    with spark_session(settings, job="embed_users") as spark:
        embed_users(spark, settings, ds, model=model, full=arguments.full, foreign=bool(arguments.model))


def arguments() -> argparse.ArgumentParser:
    parse = parser(__doc__, "workdir", "spark_master")
    parse.add_argument("--ds", required=True, help="the cut-off: 00:00 UTC of this date")
    parse.add_argument("--model", help="folder of a model; default: the current one in WORKDIR/models")
    parse.add_argument("--full", action="store_true", help="embed every user, also where nothing changed")
    return parse


if __name__ == "__main__":
    main(run, arguments())
