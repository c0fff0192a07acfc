"""One day of embeddings as `embed_users` wrote it, checked before anything of it is published."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.contracts.blocklist import BlockList
from feature_repo.contracts.names import EMBEDDING, Workdir
from serving.errors import PublicationRefused
from serving.facts import NO_FACTS, Facts
from serving.rows import LONGEST_ID, MOST_TEXTS, Row, Vector

_COLUMNS = ["user_id", "vector", "text_keys", "text_weights", "input_hash", "model_version"]
_BATCH = 4096


@dataclass(frozen=True)
class Embeddings:
    """A checked partition: every user once, every vector finite and of one length, a weight per text, one model.

    `input_hashes` holds each user's hash, in the order of the files.
    """

    ds: date
    files: tuple[Path, ...]
    model_version: str
    dimension: int
    input_hashes: dict[str, str]

    def rows(self, wanted: Callable[[str], bool], facts: Facts = NO_FACTS) -> Iterator[Row]:
        """The rows of the wanted users with their facts, read in batches."""
        for batch in _batches(self.files):
            users, hashes = batch["user_id"].to_pylist(), batch["input_hash"].to_pylist()
            vectors, keys, weights = _vectors(batch), batch["text_keys"], batch["text_weights"]
            for at, user in enumerate(users):
                if wanted(user):
                    texts = keys[at].values.to_numpy(), weights[at].values.to_numpy()
                    known = facts.of(user), facts.hash_of(user)
                    yield Row(user, vectors[at], texts, self.ds.isoformat(), hashes[at], *known)


def read_embeddings(work: Workdir, ds: date) -> Embeddings:
    """The partition of `ds` without erased users. Raises PublicationRefused naming what is wrong, and with whom."""
    folder = work.partition(EMBEDDING, ds)
    files = tuple(sorted(folder.glob("*.parquet")))
    if not files:
        raise PublicationRefused(f"there are no embeddings of {ds}: {folder} holds no parquet file.")
    hashes: dict[str, str] = {}
    versions: set[str] = set()
    dimensions: set[int] = set()
    for batch in _batches(files):
        _refuse_bad_users(batch, hashes, folder)
        dimensions |= set(pc.unique(pc.list_value_length(batch["vector"])).to_pylist())
        versions |= set(pc.unique(batch["model_version"]).to_pylist())
        if len(dimensions) > 1:
            raise PublicationRefused(f"{folder}: vectors must have one length, found lengths {sorted(dimensions)}.")
        _refuse_odd_vectors(batch, folder)
        _refuse_odd_texts(batch, folder)
        hashes.update(zip(batch["user_id"].to_pylist(), batch["input_hash"].to_pylist(), strict=True))
    for user in BlockList(work.erasure).read().among(hashes.copy()):
        del hashes[user]
    if not hashes:
        raise PublicationRefused(f"the embeddings of {ds} are empty: {folder} holds no row.")
    if len(versions) > 1:
        raise PublicationRefused(f"{folder}: vectors must come from one model, found {sorted(versions)}.")
    return Embeddings(ds, files, versions.pop(), dimensions.pop(), hashes)


def _batches(files: tuple[Path, ...]) -> Iterator[dict[str, Any]]:
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH, columns=_COLUMNS):
                yield {name: batch.column(name) for name in _COLUMNS}


def _vectors(batch: dict[str, Any]) -> Vector:
    values = batch["vector"].flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return np.asarray(values.reshape(len(batch["user_id"]), -1))


def _refuse_bad_users(batch: dict[str, Any], seen: dict[str, str], folder: Path) -> None:
    users = batch["user_id"].to_pylist()
    new = set(users)
    if len(new) < len(users) or (new & seen.keys()):
        twice = next(u for at, u in enumerate(users) if u in seen or u in users[:at])
        raise PublicationRefused(f"{folder}: every user must occur once, {twice!r} occurs twice.")
    for user in users:
        if not user or len(user.encode()) > LONGEST_ID:
            raise PublicationRefused(f"{folder}: a user_id must have 1 to {LONGEST_ID} bytes, found {user!r}.")


def _refuse_odd_vectors(batch: dict[str, Any], folder: Path) -> None:
    vectors = _vectors(batch)
    for right, what in ((np.isfinite(vectors).all(axis=1), "finite numbers"), (vectors.any(axis=1), "more than zeros")):
        if not right.all():
            user = batch["user_id"][int(np.argmin(right))].as_py()
            raise PublicationRefused(f"{folder}: vectors must be {what}, that of user {user!r} is not.")


def _refuse_odd_texts(batch: dict[str, Any], folder: Path) -> None:
    keys, weights = (pc.list_value_length(batch[name]) for name in ("text_keys", "text_weights"))
    right = pc.and_(pc.equal(keys, weights), pc.less_equal(keys, MOST_TEXTS))
    if not pc.all(pc.fill_null(right, False)).as_py():
        at = int(np.argmin(pc.fill_null(right, False).to_numpy(zero_copy_only=False)))
        raise PublicationRefused(
            f"{folder}: every user must have as many text weights as text keys, at most {MOST_TEXTS}; user "
            f"{batch['user_id'][at].as_py()!r} has {weights[at].as_py()} and {keys[at].as_py()}."
        )
