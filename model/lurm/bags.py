"""Bags of interests as flat arrays: one entry for each (user, period, interest) that occurs.

Shape suffixes: N entries, R bags (user, period), U users.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError


@dataclass(frozen=True)
class Bags:
    """Entries ascend by user, period, interest. Period 0 is the newest; a user may have none."""

    users: tuple[str, ...]
    user_N: "np.ndarray"
    ago_N: "np.ndarray"
    interest_N: "np.ndarray"
    count_N: "np.ndarray"

    def __len__(self) -> int:
        return len(self.users)

    def merged(self, periods: int) -> "Bags":
        """The bags of periods `periods` times as long: the sums of those that they are made of."""
        return self._summed(self.ago_N // periods)

    def whole_life(self) -> "Bags":
        """One bag per user."""
        return self._summed(np.zeros_like(self.ago_N))

    def of_users(self, place_U: "np.ndarray") -> "Bags":
        """The bags of these users, in this order."""
        first = np.searchsorted(self.user_N, place_U)
        length = np.searchsorted(self.user_N, place_U, side="right") - first
        before = np.cumsum(length) - length
        entries = np.repeat(first - before, length) + np.arange(length.sum())
        renumbered = replace(
            self.entries(entries),
            users=tuple(self.users[i] for i in place_U),
            user_N=np.repeat(np.arange(len(place_U)), length),
        )
        return renumbered

    def entries(self, kept: "np.ndarray") -> "Bags":
        """These entries only (a mask, or places); every user stays."""
        columns = (self.user_N, self.ago_N, self.interest_N, self.count_N)
        return Bags(self.users, *(values[kept] for values in columns))

    def rows(self) -> tuple["np.ndarray", "np.ndarray"]:
        """The bag of each entry int64 [N], and each bag's first entry int64 [R]."""
        opens = np.ones(len(self.user_N), bool)
        opens[1:] = (self.user_N[1:] != self.user_N[:-1]) | (self.ago_N[1:] != self.ago_N[:-1])
        return np.cumsum(opens) - 1, np.flatnonzero(opens)

    def weights(self) -> "np.ndarray":
        """float32 [N]: log(1 + count), each bag a unit vector."""
        weight_N = np.log1p(self.count_N.astype(np.float64))
        row_N, first_R = self.rows()
        square_R = np.add.reduceat(weight_N**2, first_R) if len(first_R) else np.zeros(0)
        return (weight_N / np.sqrt(square_R)[row_N]).astype(np.float32)

    def _summed(self, ago_N: "np.ndarray") -> "Bags":
        order = np.lexsort((self.interest_N, ago_N, self.user_N))
        keys = np.stack([self.user_N, ago_N, self.interest_N])[:, order]
        opens = np.ones(len(order), bool)
        opens[1:] = (keys[:, 1:] != keys[:, :-1]).any(0)
        first = np.flatnonzero(opens)
        count_N = np.add.reduceat(self.count_N[order], first) if len(first) else self.count_N
        user_M, ago_M, interest_M = keys[:, first]
        return Bags(self.users, user_M, ago_M, interest_M, count_N)


def bags_of(lives: Mapping[str, Mapping[int, Mapping[int, int]]]) -> Bags:
    """The bags of {user: {periods_ago: {interest: count}}}."""
    entries = [
        (place, ago, interest, count)
        for place, life in enumerate(lives.values())
        for ago in sorted(life)
        for interest, count in sorted(life[ago].items())
    ]
    columns = np.array(entries, np.int64).reshape(-1, 4).T
    return Bags(tuple(lives), *columns)


@dataclass(frozen=True)
class BagFolder:
    """What build_interests.py wrote for one ds. All bags of a user lie in one file."""

    folder: Path
    manifest: Mapping[str, Any]

    def files(self) -> Iterator[Bags]:
        """The bags of each file."""
        yield from (_read(path) for path in sorted((self.folder / "bags").glob("part-*.parquet")))

    def read(self) -> Bags:
        """All bags."""
        return joined(list(self.files()))


def open_bags(folder: Path, *, interests: str) -> BagFolder:
    """The bags in `folder`. Raises FoundError where there are none or they count other interests."""
    path = folder / "manifest.json"
    if not path.exists():
        raise FoundError(f"no bags of interests in {folder}: run spark_jobs/build_interests.py bags first.")
    manifest = json.loads(path.read_text())
    if manifest["interests"] != interests:
        raise FoundError(
            f"the bags in {folder} count the interests of version {manifest['interests']}, expected {interests}: run "
            "spark_jobs/build_interests.py bags again."
        )
    return BagFolder(folder, manifest)


def joined(parts: Sequence[Bags]) -> Bags:
    """The bags of several sets of users, one after the other."""
    before = np.cumsum([0, *(len(part) for part in parts)])
    columns = (
        np.concatenate([part.user_N + first for part, first in zip(parts, before, strict=False)]),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("ago_N", "interest_N", "count_N")),
    )
    return Bags(tuple(user for part in parts for user in part.users), *columns)


def _read(path: Path) -> Bags:
    table = pq.read_table(str(path)).combine_chunks()
    named = table["user_id"].combine_chunks().dictionary_encode()
    lists = {name: table[name].combine_chunks() for name in ("interests", "counts")}
    length_R = lists["interests"].value_lengths().to_numpy().astype(np.int64)
    return Bags(
        tuple(named.dictionary.to_pylist()),
        np.repeat(named.indices.to_numpy().astype(np.int64), length_R),
        np.repeat(table["periods_ago"].to_numpy().astype(np.int64), length_R),
        *(values.flatten().to_numpy().astype(np.int64) for values in lists.values()),
    )
