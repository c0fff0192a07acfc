"""How every Spark job starts, reports and fails."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from pyspark.sql import SparkSession

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings, read_settings

Job = Callable[[Settings, argparse.Namespace], None]

LOCAL_SHUFFLE_PARTITIONS = 4
"""One machine: a shuffle of 200 partitions costs more than it spreads."""


def parser(description: str, *settings: str) -> argparse.ArgumentParser:
    """A parser with one optional argument for each of the named settings; the rest comes from the settings."""
    kinds = {f.name: f.type for f in fields(Settings)}
    arguments = argparse.ArgumentParser(description=description)
    for name in settings:
        kind = int if kinds[name] is int else str
        arguments.add_argument(f"--{name.replace('_', '-')}", type=kind, help=f"default: FOUND_{name.upper()}")
    return arguments


def main(job: Job, arguments: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> None:
    """Run a job with its settings. A FoundError ends the process with one line on stderr and status 2."""
    given = arguments.parse_args(argv)
    try:
        job(read_settings(os.environ, Path.cwd()).with_arguments(vars(given)), given)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename} cannot be used: {error.strerror}.", file=sys.stderr)
        sys.exit(2)


def spark_session(settings: Settings, *, job: str) -> SparkSession:
    """The one session: UTC, quiet, master from the settings, workers on this Python.

    What the JVM starts with (heap, collector) is Spark's own configuration: conf/spark-defaults.conf.
    """
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    options = {
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
        "spark.sql.legacy.parquet.nanosAsLong": "true",  # spark_jobs/lake_files.py makes times of them
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    }
    if settings.spark_master.startswith("local"):
        options |= {
            "spark.driver.host": "localhost",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(LOCAL_SHUFFLE_PARTITIONS),
        }
    builder = SparkSession.builder.master(settings.spark_master).appName(f"found {job}")
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def say(line: str) -> None:
    """One short line of progress for a human."""
    print(line, flush=True)
