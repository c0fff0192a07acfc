"""Training pairs: a user's inputs at a cut-off and the sentences of the future that followed."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.inputs import Column, Lengths, pair_columns
from feature_repo.contracts.names import INPUT_VIEWS, PROFILE, TIMESTAMP
from feature_repo.contracts.windows import AUTO, AUTO_COUNT, Windows, parse_cutoffs, refuse_unobserved, training_cutoffs
from feature_repo.point_in_time import snapshot_column
from spark_jobs.features import ProfileSchema, partitions_of, read_view, text_arrays, used_texts, view_columns
from spark_jobs.model_inputs import input_columns, with_profile
from spark_jobs.partitions import write_by, write_files
from spark_jobs.rendering import text_key
from spark_jobs.transforms.arrays import fixed_length, shortened
from spark_jobs.transforms.population import event_timestamp, numbered
from spark_jobs.transforms.snapshots import KEYS

MOST_ROWS_PER_FILE = 8_192
LEAST_FILES = 16


def chosen_cutoffs(text: str, *, first_event: datetime, ends: datetime, windows: Windows) -> tuple[date, ...]:
    """`FROM:TO:STEP`, one date, or `auto[:COUNT]`: as late and as many as futures before `ends` allow."""
    kind, _, count = text.partition(":")
    if kind == AUTO:
        if not (count or str(AUTO_COUNT)).isdigit() or count == "0":
            raise FoundError(f"automatic cut-offs are auto or auto:COUNT with COUNT >= 1, found {text!r}.")
        return training_cutoffs(first_event, ends, windows, int(count or AUTO_COUNT))
    cutoffs = parse_cutoffs(text)
    refuse_unobserved(cutoffs, windows, ends)
    return cutoffs


@dataclass(frozen=True)
class PairWriter:
    """Writes the pairs of one dataset whose feature views lie below `root/features`."""

    spark: SparkSession
    root: Path
    lengths: Lengths
    profile: ProfileSchema

    def write(self, keys: DataFrame, futures: DataFrame, *, rows: int) -> int:
        """`root/pairs/part-*.parquet`: the number of files, whose row counts differ by at most one.

        Raises FoundError if a user's inputs are not those of the pair's own cut-off.
        """
        files = min(rows, max(LEAST_FILES, -(-rows // MOST_ROWS_PER_FILE)))
        dealt = numbered(keys).withColumn("file", F.col("rank") % F.lit(files)).localCheckpoint()
        pairs = self._joined(dealt).join(futures, KEYS, how="inner")
        named = pairs.withColumn("user_key", text_key(F.col("user_id"))).select("file", "rank", *self._names())
        in_order = named.repartition(partitions_of(self.spark), "file").sortWithinPartitions("file", "rank")
        padded = fixed_length(in_order.drop("rank"), self._columns())
        write_by(padded, self.root / "by_file", "file", row_group_bytes=1 << 30)
        self._collect_files(files)
        self._refuse_lost(rows)
        return files

    def _joined(self, entities: DataFrame) -> DataFrame:
        """The inputs at exactly t, through Feast; rows that Feast served from another snapshot are left out."""
        from feature_repo.store import point_in_time

        columns = view_columns(self.lengths)
        views = {
            view: shortened(read_view(self.spark, self.root / "features" / view), columns.get(view, ()))
            for view in INPUT_VIEWS
            if view != PROFILE or self.profile.names
        }
        asked = entities.select("user_id", event_timestamp(), "cutoff_day", "rank", "file")
        joined = point_in_time(self.spark, asked, views)
        for view in views:
            joined = joined.filter(F.col(snapshot_column(view)) == F.unix_seconds(TIMESTAMP))
        kept = joined.drop(*map(snapshot_column, views))
        inputs = input_columns(self.lengths, **self.profile.as_dict())
        return with_profile(kept, inputs, **self.profile.as_dict())

    def _columns(self) -> tuple[Column, ...]:
        counts = {kind: len(names) for kind, names in self.profile.as_dict().items()}
        return pair_columns(self.lengths, **counts)

    def _names(self) -> list[str]:
        return [c.name for c in self._columns()]

    def _collect_files(self, files: int) -> None:
        by_file, pairs = self.root / "by_file", self.root / "pairs"
        pairs.mkdir()
        for number in range(files):
            os.replace(by_file / f"file={number}" / "part-00000.parquet", pairs / f"part-{number:05d}.parquet")
            (by_file / f"file={number}").rmdir()
        by_file.rmdir()

    def _refuse_lost(self, rows: int) -> None:
        written = self.read().count()
        if written != rows:
            raise FoundError(
                f"{rows} pairs were asked for, but only {written} found their snapshot of exactly their cut-off: "
                "the feature views and the pairs disagree. Nothing is published."
            )

    def read(self) -> DataFrame:
        return self.spark.read.parquet(str(self.root / "pairs"))

    def write_texts(self, texts: DataFrame, *, always: Sequence[int]) -> None:
        """`root/texts/part-00000.parquet`: the texts that the pairs name, and `always`, by key."""
        pairs = self.read()
        used = used_texts(pairs, [*text_arrays(pairs.columns), "profile_categories"])
        extra = self.spark.range(1).select(F.explode(F.array(*map(F.lit, always))).alias("text_key"))
        named = texts.join(used.unionByName(extra).distinct(), "text_key", how="left_semi")
        write_files(named.select("text_key", "text").coalesce(1).sortWithinPartitions("text_key"), self.root / "texts")
