"""An audience of any size as one file: all users of a day's embeddings are scored, as the service scores those whom its
index finds.

spark-submit spark_jobs/export_audience.py --ds 2011-06-01 --demand "coffee drinkers" --size 100000 --out audience.csv
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import Workdir
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.user_lists import read_user_list
from feature_repo.contracts.windows import cutoff_instant
from feature_repo.embedding_days import Day, chosen_day
from model import scan
from model.combining import Sentence, Whole
from model.served import ServedModel
from model.text_cache import TextTable
from spark_jobs.audience_files import SCHEMA, refuse_unwritable, write_audience
from spark_jobs.blocked import still_known
from spark_jobs.partitions import write_files
from spark_jobs.session import main, parser, say, spark_session

BATCH_USERS = 4_096
SCORED = "user_id string, score double"
HIGHEST = 700.0
"""Log odds beyond it are certainty: their exponential is no number."""


@dataclass(frozen=True)
class Order:
    """What is asked for: the `size` likeliest users (None: all) of those at or above the minimum probability, without
    the suppressed ones."""

    demand: str
    out: Path
    sentences: tuple[Sentence, ...] = ()
    """What is asked instead of the demand, as one."""
    size: int | None = None
    minimum_probability: float = 0.0
    suppressed: tuple[str, ...] = ()
    among: Path | None = None
    """A table of the users who may be in it; None is everybody."""

    def refuse_unanswerable(self) -> None:
        if not self.demand.strip() and not self.sentences:
            raise FoundError("a demand must be a sentence, found an empty one.")
        if self.size is None and not self.minimum_probability:
            raise FoundError("an export needs a limit: give --size, --minimum-probability, or both.")
        if self.size is not None and self.size < 1:
            raise FoundError(f"--size must be at least 1, found {self.size}.")
        if not 0 <= self.minimum_probability <= 1:
            raise FoundError(f"--minimum-probability must lie between 0 and 1, found {self.minimum_probability}.")
        refuse_unwritable(self.out)


def export_audience(spark: SparkSession, work: Workdir, day: Day, order: Order) -> int:
    """Writes the audience without erased users, best first, ties by user_id; returns its size.

    The model reads the demand here; the workers do arithmetic on what it asks (`model.scores`).
    """
    model = _model_of(work, day)
    vectors = model.text_vectors(work.text_cache)
    asked = _asked(model, day, order, vectors)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH_USERS)
    left_out = spark.createDataFrame([(user,) for user in order.suppressed], "user_id string")
    known = still_known(spark.read.parquet(str(day.folder)).select(*scan.READ), work)
    users = known.join(F.broadcast(left_out), "user_id", "left_anti")
    if order.among:
        users = users.join(spark.read.parquet(str(order.among)), "user_id", "left_semi")
    lowest = lowest_score(model, order.minimum_probability)
    scored = users.mapInArrow(partial(scan.scan, asked=asked, size=order.size, lowest=lowest), SCORED)
    # Sorting samples first: without this every user would be scored twice.
    scored = scored.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        return write_audience(order.out, _audience(_ranked(scored, order.out), model, order))
    finally:
        scored.unpersist()


def _asked(model: ServedModel, day: Day, order: Order, vectors: TextTable) -> scan.Scoring:
    sentences = order.sentences or (Sentence(order.demand),)
    demands = model.read_demands([sentence.text for sentence in sentences], day.ds)
    parts = tuple(model.asked(demand, vectors, vectors.keys) for demand in demands)
    is_one = len(sentences) == 1 and not sentences[0].negated
    return parts[0] if is_one else Whole(sentences, parts)


def lowest_score(model: ServedModel, probability: float) -> float:
    """A score just below every score of at least this probability: what the scan may leave out."""
    low, high = -HIGHEST, HIGHEST
    reaches = model.probabilities(np.array([low, high])) >= probability
    if reaches[0]:
        return -np.inf
    while reaches[1] and low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if model.probabilities(np.array([middle]))[0] >= probability else (middle, high)
    return low if reaches[1] else high


def _model_of(work: Workdir, day: Day) -> ServedModel:
    folder = day.model_folder(work)
    model = ServedModel.from_pretrained(folder)
    if model.version != day.model_version:
        raise FoundError(
            f"the embeddings of {day.ds} were made by model {day.model_version!r}, {folder} holds model "
            f"{model.version!r}: embed the day again (spark_jobs/embed_users.py --ds {day.ds})."
        )
    return model


def _ranked(scored: DataFrame, out: Path) -> Iterator[pa.RecordBatch]:
    """The scored users in order, sorted by Spark beside the file that they are for."""
    folder = out.with_name(f".{out.name}.ranked")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        write_files(scored.orderBy(F.desc("score"), F.asc("user_id")), folder)
        for path in sorted(folder.glob("*.parquet")):
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _audience(ranked: Iterator[pa.RecordBatch], model: ServedModel, order: Order) -> Iterator[pa.RecordBatch]:
    """The users that were asked for, of the ranked ones, with rank and probability."""
    rank = 1
    for batch in ranked:
        _refuse_no_score(batch)
        probabilities = model.probabilities(batch["score"].to_numpy())
        likely = batch.filter(pa.array(probabilities >= order.minimum_probability))
        wanted = likely[: order.size - rank + 1] if order.size else likely
        ranks = pa.array(np.arange(rank, rank + len(wanted)))
        columns = [ranks, *wanted.columns, pa.array(model.probabilities(wanted["score"].to_numpy()))]
        yield pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
        rank += len(wanted)
        if rank - 1 == order.size:
            return


def _refuse_no_score(batch: pa.RecordBatch) -> None:
    if len(batch) and batch["score"][0].as_py() == scan.NO_SCORE:
        raise FoundError(
            f"user {batch['user_id'][0].as_py()!r} has no score: the vector must be finite numbers, and the text cache "
            "must hold every text of the user. Embed the day again (spark_jobs/embed_users.py)."
        )


def refuse_default_filters(settings: Settings) -> None:
    """Raises FoundError where the settings keep users out of every audience by what this scan does not read."""
    if settings.default_filters:
        raise FoundError(
            f"this job reads no columns to filter by, but default_filters is {settings.default_filters!r}: ask by "
            "`found export`, which applies them and names who is left by --among."
        )


def run(settings: Settings, arguments: argparse.Namespace) -> None:
    settings.require("workdir")
    among = Path(arguments.among) if arguments.among else None
    if among is None:
        refuse_default_filters(settings)
    suppressed = read_user_list(Path(settings.suppressed_users)) if settings.suppressed_users else ()
    size, likely, out = arguments.size, arguments.minimum_probability, Path(arguments.out).absolute()
    order = Order(
        arguments.demand,
        out,
        sentences=tuple(Sentence(**each) for each in json.loads(arguments.sentences)),
        size=size,
        minimum_probability=likely,
        suppressed=suppressed,
        among=among,
    )
    order.refuse_unanswerable()
    day = chosen_day(settings.work, cutoff_instant(arguments.ds).date() if arguments.ds else None)
    with spark_session(settings, job="export_audience") as spark:
        users = export_audience(spark, settings.work, day, order)
    say(f"export: {users} users as of {day.ds} by model {day.model_version} in {out}")


def arguments() -> argparse.ArgumentParser:
    parse = parser(__doc__, "workdir", "spark_master")
    parse.add_argument("--ds", help="the day of the embeddings (default: the newest of the model in service)")
    what = parse.add_mutually_exclusive_group(required=True)
    what.add_argument("--demand", default="", help="the sentence")
    several = "several that are asked as one: a list of {text, negated, joined}"
    what.add_argument("--sentences", default="[]", metavar="JSON", help=several)
    parse.add_argument("--size", type=int, help="how many users (default: all of the minimum probability)")
    parse.add_argument("--minimum-probability", type=float, default=0.0, help="no user below it (default: 0)")
    parse.add_argument("--among", metavar="FOLDER", help="Parquet with the user_id of everybody who may be in it")
    parse.add_argument("--out", required=True, help="the file to write: .csv, .parquet or .jsonl")
    return parse


if __name__ == "__main__":
    main(run, arguments())
