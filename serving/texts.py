"""The texts that the keys of one day's features stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from feature_repo.contracts.names import TEXTS, Workdir


@dataclass(frozen=True)
class TextTable:
    """The texts of one day's features by key."""

    keys: NDArray[np.int64]
    texts: pa.Array

    def of(self, keys: Sequence[int]) -> dict[int, str]:
        """The texts of those keys that the table holds."""
        wanted = np.unique(np.asarray(list(keys), dtype=np.int64))
        at = np.searchsorted(self.keys, wanted)
        held = at < len(self.keys)
        held[held] = self.keys[at[held]] == wanted[held]
        return dict(zip(wanted[held].tolist(), self.texts.take(pa.array(at[held])).to_pylist(), strict=True))


def read_texts(work: Workdir, ds: date) -> TextTable:
    """Empty where the day has no texts: reasons are then missing, audiences are not."""
    files = sorted(work.partition(TEXTS, ds).glob("*.parquet"))
    if not files:
        return TextTable(np.empty(0, dtype=np.int64), pa.array([], pa.string()))
    table = pa.concat_tables([pq.ParquetFile(f).read(columns=["text_key", "text"]) for f in files]).combine_chunks()
    keys = table["text_key"].to_numpy().astype(np.int64)
    order = np.argsort(keys, kind="stable")
    return TextTable(keys[order], table["text"].combine_chunks().take(pa.array(order)))
