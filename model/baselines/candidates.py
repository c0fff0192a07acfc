"""The candidates of a scenario as columns, read from the published snapshot of its cut-off without Spark."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import INPUT_VIEWS, JOIN_KEY, PROFILE, TIMESTAMP, Workdir
from feature_repo.contracts.windows import day_number
from model.batch import nobody
from model.data import Columns, Pairs, rows_of
from model.rows import columns_of


def candidates(work: Workdir, cutoff: date, users: Sequence[str], pairs: Pairs) -> Columns:
    """The history-side columns of these users, in their order, shaped as those of the pairs.

    A user that the snapshot does not have is one of whom nothing is known. Raises FoundError where there is no
    snapshot of the cut-off.
    """
    tables = [pq.read_table(str(_partition(work, view, cutoff))) for view in INPUT_VIEWS]
    places = [{user: row for row, user in enumerate(table[JOIN_KEY].to_pylist())} for table in tables]
    known = [user for user in users if all(user in rows for rows in places)]
    values: dict[str, Sequence[Any]] = {}
    for view, table, rows in zip(INPUT_VIEWS, tables, places, strict=True):
        prefix = f"{view}__" if view == PROFILE else ""
        own = table.drop_columns([JOIN_KEY, TIMESTAMP]).take(np.array([rows[user] for user in known], np.int64))
        values |= {prefix + name: own[name].to_pylist() for name in own.column_names}
    found = columns_of(values, pairs.columns, profile=pairs.manifest["profile"], day=cutoff)
    stranger = {name: row for name, row in nobody(pairs.columns).items() if name in found}
    stranger["cutoff_day"][:] = day_number(cutoff)
    both = {name: np.concatenate([found[name], stranger[name]]) for name in found}
    row_of = {user: row for row, user in enumerate(known)}
    return rows_of(both, np.array([row_of.get(user, len(known)) for user in users], np.int64))


def _partition(work: Workdir, view: str, cutoff: date) -> Path:
    folder = work.partition(view, cutoff)
    if not folder.exists():
        raise FoundError(f"no snapshot of {cutoff} in {work.root}: run spark_jobs/build_features.py --ds {cutoff}.")
    return folder
