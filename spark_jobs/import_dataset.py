"""`spark-submit spark_jobs/import_dataset.py NAME --from FILE_OR_FOLDER --out DIR`: a lake of a public original.

The user downloads the original; docs/datasets.md says where, and what becomes of it. The same original gives
the same bytes.
"""

import argparse
import time
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.windows import cutoff_instant
from spark_jobs.originals.catalogue import DATASETS
from spark_jobs.originals.lake import Dataset, write_lake
from spark_jobs.originals.opened import checksum_warning, opened
from spark_jobs.session import main, parser, say, spark_session


def import_dataset(
    spark: SparkSession, dataset: Dataset, path: Path, out: Path, *, day_one: date | None = None
) -> dict[str, int]:
    """The lake of the original at `path`, whole at `out` or not at all; the rows of each source."""
    with opened(spark, path, day_one) as original:
        return write_lake(out, dataset, dataset.read(original))


def chosen(name: str, day_one: date | None) -> Dataset:
    if name not in DATASETS:
        raise FoundError(f"a dataset is one of {', '.join(DATASETS)}; found {name!r}.")
    if day_one and not DATASETS[name].counts_days:
        counting = [n for n, d in DATASETS.items() if d.counts_days]
        raise FoundError(
            f"--day-one is for an original that counts days ({', '.join(counting)}); {name} has dates. Leave it out."
        )
    return DATASETS[name]


def job(settings: Settings, given: argparse.Namespace) -> None:
    started, path, out = time.monotonic(), Path(given.origin).absolute(), Path(given.out).absolute()
    day_one = cutoff_instant(given.day_one).date() if given.day_one else None
    dataset = chosen(given.name, day_one)
    if warning := checksum_warning(path, dataset.checksums):
        say(warning)
    say(f"reading {dataset.source} from {path}")
    spark = spark_session(settings, job="import_dataset")
    rows = import_dataset(spark, dataset, path, out, day_one=day_one)
    told = ", ".join(f"{count:,} {source}" for source, count in rows.items())
    say(f"wrote the lake {out} in {time.monotonic() - started:.0f} s: {told}; licence: {dataset.licence}")


def arguments() -> argparse.ArgumentParser:
    wanted = parser(__doc__ or "", "spark_master")
    wanted.add_argument("name", metavar="NAME", help=", ".join(DATASETS))
    wanted.add_argument("--from", dest="origin", required=True, metavar="FILE_OR_FOLDER")
    wanted.add_argument("--out", required=True, metavar="DIR")
    wanted.add_argument("--day-one", metavar="DATE", help="the date of day 1, for complete_journey")
    return wanted


if __name__ == "__main__":
    main(job, arguments())
