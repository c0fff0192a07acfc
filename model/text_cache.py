"""Each distinct text is encoded once per encoder version and looked up ever after."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.templates import text_key
from model.distributed import Ranks
from model.text_encoder import TextEncoder


@dataclass(frozen=True)
class TextTable:
    """Vectors by text key. Row 0 is padding; row i + 1 belongs to keys[i], ascending.

    `encoder` is the fingerprint of what made them, "" where a table does not come from a cache.
    """

    keys: "np.ndarray"
    vectors: "np.ndarray"
    encoder: str = ""

    def rows(self, keys: "np.ndarray") -> "np.ndarray":
        """The rows of an int64 array of keys of any shape, 0 where the key is 0. Raises FoundError for a stranger."""
        places = np.searchsorted(self.keys, keys)
        known = np.append(self.keys, 0)[places] == keys
        if not np.all(known | (keys == 0)):
            stranger = int(keys[~known & (keys != 0)][0])
            raise FoundError(f"text key {stranger} has no vector: encode the texts of this snapshot first.")
        return np.where(keys == 0, 0, places + 1)

    def select(self, keys: "np.ndarray") -> "TextTable":
        """The table of only these keys."""
        unique = np.unique(keys[keys != 0])
        return TextTable(unique, np.concatenate([self.vectors[:1], self.vectors[self.rows(unique)]]), self.encoder)


def read_table(folder: Path) -> TextTable:
    """The table in a cache's folder, memory-mapped; read again where a writer replaced it in between."""
    name = (folder / "CURRENT").read_text()
    try:
        keys, vectors = np.load(folder / name / "keys.npy"), np.load(folder / name / "vectors.npy", mmap_mode="r")
        return TextTable(keys, vectors, folder.name)
    except FileNotFoundError:
        if (folder / "CURRENT").read_text() == name:
            raise
        return read_table(folder)


class TextCache:
    """A folder per encoder version with the sorted keys and their vectors, replaced atomically.

    Any number of processes may read and write: writers wait for each other, and find what the other encoded.
    """

    def __init__(self, root: Path, fingerprint: str, *, width: int) -> None:
        self.folder = root / fingerprint
        self.width = width

    def table(self) -> TextTable:
        """All that is cached, memory-mapped."""
        if not (self.folder / "CURRENT").exists():
            return TextTable(np.zeros(0, np.int64), np.zeros((1, self.width), np.float32))
        return read_table(self.folder)

    def update(self, keys: "np.ndarray", texts: Sequence[str], encoder: TextEncoder) -> tuple[TextTable, int]:
        """The table with every one of these texts, and how many were new."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            table = self.table()
            new = ~np.isin(keys, table.keys)
            unique, first = np.unique(keys[new], return_index=True)
            if len(unique):
                vectors = encoder.encode([texts[i] for i in np.flatnonzero(new)[first]])
                merged = np.concatenate([table.keys, unique])
                order = np.argsort(merged)
                stacked = np.concatenate([table.vectors[1:], vectors])[order]
                self._publish(merged[order], np.concatenate([np.zeros((1, self.width), np.float32), stacked]))
                table = self.table()
        return table, len(unique)

    def _publish(self, keys: "np.ndarray", vectors: "np.ndarray") -> None:
        generation = Path(tempfile.mkdtemp(prefix=f"{len(keys)}-", dir=self.folder))
        np.save(generation / "keys.npy", keys)
        np.save(generation / "vectors.npy", vectors)
        pointer = generation / "CURRENT"
        pointer.write_text(generation.name)
        os.replace(pointer, self.folder / "CURRENT")
        for old in self.folder.iterdir():
            if old.is_dir() and old != generation:
                for file in old.iterdir():
                    file.unlink()
                old.rmdir()


class CachedEncoder:
    """An encoder behind the cache: rank 0 encodes what is new, every rank reads."""

    def __init__(self, root: Path, encoder: TextEncoder, ranks: Ranks | None = None) -> None:
        self.encoder = encoder
        self.ranks = ranks or Ranks()
        self.cache = TextCache(root, encoder.fingerprint, width=encoder.width)
        self.asked = self.encoded = 0

    @property
    def hit_rate(self) -> float:
        """The share of the texts asked for that were in the cache before."""
        return 1 - self.encoded / max(1, self.asked)

    def table(self, keys: "np.ndarray", texts: Sequence[str]) -> TextTable:
        """The vectors of exactly these texts, by ascending key."""
        if self.ranks.is_first:
            _, new = self.cache.update(keys, texts, self.encoder)
            self.encoded += new
        self.ranks.barrier()
        self.asked += len(keys)
        return self.cache.table().select(keys)

    def encode(self, texts: Sequence[str]) -> "np.ndarray":
        """float32 [N, E]: the vectors of the texts, in their order."""
        keys = np.array([text_key(text) for text in texts], np.int64)
        table = self.table(keys, texts)
        return table.vectors[table.rows(keys)]
