"""Many users like those of a work directory, for benchmarks: of 5,000 real ones, a million.

A user is a real one moved by a part of the difference of two others, so that norms, directions and the few axes on
which real vectors differ stay what they are. One user in ten is an exact double of another: ties, as real users have.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.contracts.names import TEXTS, Workdir
from feature_repo.embedding_days import Day, chosen_day
from model.found import FoundModel

MOVED = 0.3
DOUBLES = 0.1


@dataclass(frozen=True)
class Real:
    """The newest embeddings of a work directory, and the model that made them."""

    work: Workdir
    day: Day
    users: list[str]
    vectors: "np.ndarray"
    keys: pa.ListArray
    weights: pa.ListArray
    model: FoundModel

    def sentences(self, count: int, seed: int) -> list[str]:
        """Texts of the lake, as demands."""
        texts = pq.read_table(self.work.partition(TEXTS, self.day.ds), columns=["text"], partitioning=None)["text"]
        chosen = np.random.default_rng(seed).choice(len(texts), min(count, len(texts)), replace=False)
        return texts.take(pa.array(chosen)).to_pylist()


def real(workdir: Path) -> Real:
    work = Workdir(workdir.absolute())
    day = chosen_day(work, None)
    columns = ["user_id", "vector", "text_keys", "text_weights"]
    table = pq.read_table(day.folder, columns=columns, partitioning=None).combine_chunks()
    users, vectors, keys, weights = (table[name].chunk(0) for name in columns)
    flat = vectors.flatten().to_numpy().reshape(len(table), -1)
    return Real(
        work, day, users.to_pylist(), flat, keys, weights, FoundModel.from_pretrained(work.models / day.model_version)
    )


def like(real: Real, count: int, seed: int) -> tuple["np.ndarray", "np.ndarray"]:
    """float32 [count, width], and the real user whose texts each has."""
    g = np.random.default_rng(seed)
    own, one, other = g.integers(0, len(real.vectors), (3, count))
    vectors = real.vectors[own] + np.float32(MOVED) * (real.vectors[one] - real.vectors[other])
    vectors[:, -1] = 1
    doubles = g.choice(count, int(DOUBLES * count), replace=False)
    originals = g.integers(0, count, len(doubles))
    vectors[doubles], own[doubles] = vectors[originals], own[originals]
    return vectors, own


def prefix(vectors: "np.ndarray", size: int) -> "np.ndarray":
    """What an index of shorter vectors holds (`vector_size`): propensity or 1, a prefix, 1 or the bias."""
    return np.ascontiguousarray(np.concatenate([vectors[:, : size + 1], vectors[:, -1:]], 1))
