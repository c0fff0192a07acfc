"""A tiny lake that both DAGs have brought into service: run once, read by the tests of the DAGs and of the README."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
USERS = 60
DS = "2024-04-01"


@dataclass(frozen=True)
class Served:
    """The lake, its work directory, and the environment in which both DAGs ran."""

    lake: Path
    workdir: Path
    environ: dict[str, str]


def environment(home: Path, **variables: str) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "HF_HUB_OFFLINE": "1",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        **variables,
    }


def write_tiny_lake(root: Path) -> None:
    """Bills, searches and profiles of 60 users over the half year before DS; every user has at least one bill."""
    random = Random(7)
    last = datetime.fromisoformat(DS).replace(tzinfo=UTC)
    items = [("stroller", "baby"), ("diapers", "baby"), ("tent", "outdoor"), ("cooler", "outdoor"), ("novel", "books")]
    bills, searches, profiles = [], [], []
    for number in range(USERS):
        user = f"u{number:03}"
        favourite = items[number % len(items)]
        for _ in range(random.randint(1, 20)):
            item, category = favourite if random.random() < 0.7 else random.choice(items)
            time = last - timedelta(minutes=random.randint(1, 180 * 24 * 60))
            bills.append((user, time, item, category, float(random.randint(5, 200))))
            searches.append((user, time - timedelta(minutes=5), f"cheap {item}"))
        profiles.append((user, last - timedelta(days=200), random.choice(["Lyon", "Oslo"]), float(20 + number)))
    tables = {
        "bills": (bills, ["user_id", "event_time", "item", "category", "amount"]),
        "searches": (searches, ["user_id", "event_time", "query"]),
        "profiles": (profiles, ["user_id", "valid_from", "city", "age"]),
    }
    for name, (rows, columns) in tables.items():
        table = pa.table({c: [row[i] for row in rows] for i, c in enumerate(columns)})
        times = columns[1]
        table = table.set_column(1, times, table[times].cast(pa.timestamp("us", tz="UTC")))
        (root / name).mkdir(parents=True)
        pq.write_table(table, root / name / "part-00000.parquet")
    (root / "lake.yaml").write_text(f"name: tiny\nsources: {list(tables)}\ncurrency: EUR\nends: {DS}\n")


def run_dag(name: str, environ: dict[str, str], **params: str) -> None:
    command = [str(BIN / "airflow"), "dags", "test", name, DS, "--conf", json.dumps(params)]
    done = subprocess.run(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, cwd="/"
    )
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Served:
    """The lake after `airflow dags test` of train_foundation and of nightly_embeddings; a failure fails its tests."""
    root = tmp_path_factory.mktemp("served")
    write_tiny_lake(root / "lake")
    workdir = root / "work"
    environ = environment(
        root / "airflow",
        FOUND_LAKE=str(root / "lake"),
        FOUND_WORKDIR=str(workdir),
        FOUND_RECIPE="tiny",
        FOUND_HORIZON_DAYS="14",
        FOUND_HISTORY_DAYS="120",
        FOUND_MAX_EVENTS="16",
        FOUND_MAX_SEARCHES="8",
        FOUND_MAX_FUTURE="16",
    )
    subprocess.run([str(BIN / "airflow"), "db", "migrate"], env=environ, check=True, capture_output=True, timeout=180)
    run_dag("train_foundation", environ, cutoffs="auto:3")
    run_dag("nightly_embeddings", environ)
    return Served(root / "lake", workdir, environ)
