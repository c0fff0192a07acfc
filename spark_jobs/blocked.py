"""Erased users stay out of every job: what a job reads of a user passes through here."""

from collections.abc import Callable, Iterator, Mapping
from functools import reduce

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from feature_repo.contracts.blocklist import Blocked, BlockList
from feature_repo.contracts.names import JOIN_KEY, Workdir
from feature_repo.contracts.settings import Settings
from spark_jobs.rendering import quoted

USER = JOIN_KEY


def blocked_users(settings: Settings) -> Blocked:
    """The block list of the work directory; empty where a job has none."""
    return BlockList(settings.work.erasure).read() if settings.workdir else Blocked()


def without_blocked(
    frames: Mapping[str, DataFrame], blocked: Blocked, *, ids: Mapping[str, str]
) -> dict[str, DataFrame]:
    """The frames without the rows of blocked users; `ids` names each frame's column of user ids.

    A frame whose column is missing or is no string stays as it is: the contract refuses it. The distinct users of all
    frames are hashed once; with nobody blocked nothing is computed.
    """
    named = {name: ids[name] for name, frame in frames.items() if (ids[name], "string") in frame.dtypes}
    if not blocked or not named:
        return dict(frames)
    users = [frames[name].select(F.col(quoted(column)).alias(USER)) for name, column in named.items()]
    distinct = reduce(DataFrame.unionByName, users).filter(F.col(USER).isNotNull()).distinct()
    found = [row[USER] for row in distinct.mapInArrow(_among(blocked), f"{USER} string").collect()]
    return {
        name: _without(frame, named[name], found) if found and name in named else frame
        for name, frame in frames.items()
    }


def still_known(frame: DataFrame, work: Workdir) -> DataFrame:
    """The rows of a table of ours, by its `user_id`, whose users are not blocked."""
    return without_blocked({USER: frame}, BlockList(work.erasure).read(), ids={USER: USER})[USER]


def _without(frame: DataFrame, column: str, users: list[str]) -> DataFrame:
    """The rows of other users and of none, columns as they were."""
    gone = F.broadcast(frame.sparkSession.createDataFrame([(user,) for user in users], f"{USER}_gone string"))
    return frame.join(gone, F.col(quoted(column)) == F.col(f"{USER}_gone"), how="left_anti")


def _among(blocked: Blocked) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def among(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_pydict({USER: pa.array(blocked.among(batch[USER].to_pylist()), pa.string())})

    return among
