"""What tests share: one Spark session, the real lakes where they are, a tiny lake."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from factories import story_lake

from feature_repo.contracts.settings import Settings
from feature_repo.contracts.steps import SPARK_CONF_DIR

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest_plugins = ["milvus_server", "model_pairs", "redis_server", "served_lake", "tiny_language_models"]

PROJECT = Path(__file__).resolve().parents[1]
os.environ.setdefault("SPARK_CONF_DIR", str(SPARK_CONF_DIR))
# PySpark starts its JVM by a fork; where Milvus Lite runs beside it, handlers of gRPC for forks now and then end that.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of several workers on the same cores wait for each other


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait for a whole served lake come first, then those of most tests: none is left alone at the end."""
    many = Counter(item.path for item in items)
    served = {item.path for item in items if "served" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path not in served, -many[item.path]))


@pytest.fixture(scope="session")
def spark() -> Iterator["SparkSession"]:
    """The jobs' own session, small; stopped at the end."""
    from spark_jobs.session import spark_session

    session = spark_session(Settings(spark_master="local[2]"), job="tests")
    session.conf.set("spark.sql.shuffle.partitions", "2")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def lakes(tiny_lake: Path) -> list[Path]:
    """Real lakes, from FOUND_LAKES or `../shared/lakes`; where there are none, a generated one."""
    folder = Path(os.environ.get("FOUND_LAKES") or PROJECT / "../shared/lakes").resolve()
    return sorted(path.parent for path in folder.glob("*/lake.yaml")) or [tiny_lake]


@pytest.fixture(scope="session")
def tiny_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 users, 400 days, all five sources; read-only."""
    return story_lake(tmp_path_factory.mktemp("lakes") / "tiny")
