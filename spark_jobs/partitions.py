"""Spark's outputs: whole or not there (contracts/publication.py), and the same bytes when they are made again."""

import os
import shutil
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from feature_repo.contracts.publication import publish, publish_all, write_json
from spark_jobs.parquet_footer import canonical

__all__ = ["laid_out", "publish", "publish_all", "write_by", "write_files", "write_json"]


def write_files(frame: DataFrame, folder: Path) -> None:
    """The rows as `folder/part-00000.parquet` ..., one file per non-empty partition of the frame, in its order."""
    _written(frame, folder, (), 1 << 27)


def write_by(frame: DataFrame, root: Path, column: str, *, row_group_bytes: int = 1 << 27) -> None:
    """The rows as `root/COLUMN=VALUE/part-*.parquet`; the column itself is only in the folder's name."""
    _written(frame, root, (column,), row_group_bytes)


def _written(frame: DataFrame, folder: Path, columns: tuple[str, ...], row_group_bytes: int) -> None:
    """Spark names its files by a random id: they are renamed in the order of its partitions
    and their footers made canonical."""
    raw = folder.with_name(f".{folder.name}.spark")
    shutil.rmtree(raw, ignore_errors=True)
    writer = frame.write.option("compression", "snappy").option("parquet.block.size", row_group_bytes)
    writer.partitionBy(*columns).parquet(str(raw))
    groups = sorted(raw.glob(f"{columns[0]}=*")) if columns else [raw]
    for group in groups:
        target = folder / group.name if columns else folder
        target.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(sorted(group.glob("part-*.parquet"))):
            canonical(file)
            os.replace(file, target / f"part-{number:05d}.parquet")
    shutil.rmtree(raw, ignore_errors=True)


def laid_out(frame: DataFrame, column: str, *, key: str, files: int, partitions: int) -> DataFrame:
    """For `write_by`: the rows of each value of `column` in at most `files` files, each sorted by `key`.

    Which row lies in which file depends on the row alone, so the same rows give the same bytes.
    """
    bucket = F.pmod(F.hash(key), F.lit(files))
    return frame.repartition(partitions, column, bucket).sortWithinPartitions(column, key)
