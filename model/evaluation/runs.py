"""A run to be evaluated: one model and the users that it embedded as of a cut-off."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import EMBEDDING, Workdir
from model import pointers
from model.found import FoundModel
from model.text_cache import TextTable
from model.vectors import Users


@dataclass(frozen=True)
class Run:
    """`users` are in the rows that `places` says; the last is a user of whom nothing is known."""

    model: FoundModel
    cutoff: date
    users: Users
    places: Mapping[str, int]
    vectors: TextTable

    def place(self, user: str) -> int:
        """The row of a user, or of the stranger."""
        return self.places.get(user, len(self.places))


def open_run(work: Workdir, cutoff: date) -> Run:
    """Raises FoundError where model or embeddings are missing, or the model saw what came after the cut-off."""
    model = FoundModel.from_pretrained(pointers.current(work.models, missing="run `found evaluate`, which trains it"))
    _refuse_leak(model, cutoff)
    names, known = _embedded(work, cutoff)
    stranger = model.embed_stranger(cutoff)
    users = Users(np.concatenate([known.vectors, stranger.vectors]), [*known.texts, *stranger.texts])
    return Run(model, cutoff, users, {name: i for i, name in enumerate(names)}, model.text_vectors(work.text_cache))


def _refuse_leak(model: FoundModel, cutoff: date) -> None:
    windows = model.metadata["windows"]
    reach = timedelta(days=windows["gap_days"] + windows["horizon_days"])
    if late := [t for t in model.metadata["cutoffs"] if date.fromisoformat(t) + reach > cutoff]:
        raise FoundError(
            f"the model was trained on futures that pass the scenario's cut-off {cutoff}: those of the cut-offs {late} "
            f"reach {reach.days} days ahead. Train on earlier ones (build_pairs.py --until {cutoff})."
        )


def _embedded(work: Workdir, cutoff: date) -> tuple[list[str], Users]:
    folder = work.partition(EMBEDDING, cutoff)
    if not folder.exists():
        raise FoundError(f"no embeddings of {cutoff} in {work.root}: run spark_jobs/embed_users.py --ds {cutoff}.")
    columns = ["user_id", "vector", "text_keys", "text_weights"]
    table = pq.read_table(str(folder), columns=columns).combine_chunks()
    vectors, keys, weights = (table[name].combine_chunks() for name in columns[1:])
    texts = list(zip(_arrays(keys), _arrays(weights), strict=True))
    return table["user_id"].to_pylist(), Users(vectors.flatten().to_numpy().reshape(len(table), -1), texts)


def _arrays(lists: Any) -> list["np.ndarray"]:
    return np.split(lists.flatten().to_numpy(), np.cumsum(lists.value_lengths().to_numpy())[:-1])
