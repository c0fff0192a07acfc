"""Training pairs as batches: every pair exactly once per epoch, over any number of ranks, resumable.

Petastorm reads one file (one row group) at a time; the order of files and of rows within a file is a function
of (seed, epoch) alone. `read_file_pyarrow` is the plain twin of `read_file`: same rows, same tests.
"""

import contextlib
import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.inputs import Column, Lengths, pair_columns
from feature_repo.contracts.names import SCHEMA_VERSION
from feature_repo.contracts.templates import TEMPLATE_VERSION

Columns = dict[str, "np.ndarray"]


@dataclass(frozen=True)
class Pairs:
    """The dataset that build_pairs wrote."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(sorted((self.folder / "pairs").glob("part-*.parquet")))

    @property
    def cutoff_days(self) -> list[int]:
        """The cut-offs of the pairs, ascending, in days since 1970-01-01."""
        return sorted((date.fromisoformat(day) - date(1970, 1, 1)).days for day in set(self.manifest["cutoffs"]))

    @property
    def columns(self) -> tuple[Column, ...]:
        profile = self.manifest["profile"]
        return pair_columns(
            Lengths(**self.manifest["lengths"]),
            categorical=len(profile["categorical"]),
            numeric=len(profile["numeric"]),
        )

    def texts(self) -> tuple["np.ndarray", list[str]]:
        """Keys and texts of every distinct text of the pairs."""
        table = pq.read_table(str(self.folder / "texts"), columns=["text_key", "text"])
        return table["text_key"].to_numpy(), table["text"].to_pylist()


def open_pairs(folder: Path) -> Pairs:
    """The pairs in `folder`. Raises FoundError where there are none or they are of another version."""
    path = folder / "manifest.json"
    if not path.exists():
        raise FoundError(f"no training pairs in {folder}: run spark_jobs/build_pairs.py first.")
    manifest = json.loads(path.read_text())
    ours = {"schema_version": SCHEMA_VERSION, "template_version": TEMPLATE_VERSION}
    if differs := {k: manifest.get(k) for k, v in ours.items() if manifest.get(k) != v}:
        raise FoundError(f"the pairs in {folder} have {differs}, this code reads {ours}: build them again.")
    return Pairs(folder, manifest)


def read_file(path: Path) -> Columns:
    """One file of pairs through Petastorm's batch reader."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it reports each file that it closes
        warnings.simplefilter("ignore")  # petastorm's own deprecated calls
        from model.petastorm_compat import make_batch_reader

        url = path.resolve().as_uri()
        with make_batch_reader(url, reader_pool_type="dummy", num_epochs=1, shuffle_row_groups=False) as reader:
            groups = [group._asdict() for group in reader]
    return {name: np.concatenate([group[name] for group in groups]) for name in groups[0]}


def read_file_pyarrow(path: Path) -> Columns:
    """The same rows without Petastorm."""
    table = pq.read_table(str(path)).combine_chunks()
    return {name: array(table[name]) for name in table.column_names}


def array(column: Any) -> "np.ndarray":
    """A column as [rows] or [rows, length]."""
    if not hasattr(column.type, "value_type"):
        return np.asarray(column.to_numpy())
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat).reshape(len(column), -1)


def rows_of(columns: Columns, rows: "slice | np.ndarray") -> Columns:
    """Some of the rows."""
    return {name: values[rows] for name, values in columns.items()}


@dataclass(frozen=True)
class Cutoffs:
    """The half-open range of cut-offs, in days since 1970-01-01, whose pairs a loader gives; all by default."""

    first: int = 0
    end: int | None = None

    @property
    def are_all(self) -> bool:
        return not self.first and self.end is None

    def hold(self, cutoff_day: "np.ndarray") -> "np.ndarray":
        """bool [B]"""
        return (cutoff_day >= self.first) & (True if self.end is None else cutoff_day < self.end)


@dataclass(frozen=True)
class Loader:
    """Batches of one rank. The batch of step s is the same after a resume as without one."""

    pairs: Pairs
    batch_users: int
    seed: int
    rank: int = 0
    ranks: int = 1
    read: Callable[[Path], Columns] = read_file
    cutoffs: Cutoffs = Cutoffs()

    def __post_init__(self) -> None:
        if self.ranks > len(self.pairs.files):
            raise FoundError(
                f"{self.ranks} processes need at least as many files of pairs, found {len(self.pairs.files)} in "
                f"{self.pairs.folder}: use fewer processes or build more pairs."
            )

    def epoch(self, number: int) -> Iterator[Columns | None]:
        """The rank's batches, None where the others still have some: ranks give equally many, none can hang."""
        given = 0
        for place, path in self._files(number):
            rows = self.read(path)
            kept = np.flatnonzero(self.cutoffs.hold(rows["cutoff_day"]))
            order = kept[np.random.default_rng([self.seed, number, place]).permutation(len(kept))]
            for start in range(0, len(order), self.batch_users):
                yield rows_of(rows, order[start : start + self.batch_users])
                given += 1
        yield from (None for _ in range(self._steps(number) - given))

    def any_batch(self) -> Columns:
        """One row: what a rank computes, at weight zero, while others still have users."""
        return rows_of(self.read(self.pairs.files[0]), slice(1))

    def steps(self) -> Iterator[Columns | None]:
        """Epoch after epoch, without end. Raises FoundError where there is no pair to give."""
        for number in count():
            empty = True
            for batch in self.epoch(number):
                yield batch
                empty = False
            if empty:
                raise FoundError(
                    f"no pair in {self.pairs.folder} has a cut-off in this range: build pairs at more cut-offs."
                )

    def _files(self, number: int) -> list[tuple[int, Path]]:
        order = np.random.default_rng([self.seed, number]).permutation(len(self.pairs.files))
        return [(int(i), self.pairs.files[i]) for i in order[self.rank :: self.ranks]]

    def _steps(self, number: int) -> int:
        """The batches of the rank that has most."""
        order = np.random.default_rng([self.seed, number]).permutation(len(self.pairs.files))
        per_file = [-(-self._rows(path) // self.batch_users) for path in self.pairs.files]
        return max(sum(per_file[i] for i in order[rank :: self.ranks]) for rank in range(self.ranks))

    def _rows(self, path: Path) -> int:
        if self.cutoffs.are_all:
            return int(pq.read_metadata(str(path)).num_rows)
        return int(self.cutoffs.hold(array(pq.read_table(str(path), columns=["cutoff_day"])["cutoff_day"])).sum())
