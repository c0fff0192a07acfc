"""The scenarios of a lake, as a method may see them, and their labels."""

from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq

from feature_repo.contracts.scenarios import Scenario, read_scenarios

__all__ = ["Scenario", "read_hard", "read_labels", "read_scenarios"]


def read_hard(path: Path) -> dict[str, frozenset[str]]:
    """{scenario: the users marked as hard negatives}, of both splits; empty where labels.parquet has no such column."""
    if "hard" not in pq.read_schema(str(path)).names:
        return {}
    marked: dict[str, set[str]] = defaultdict(set)
    for row in pq.read_table(str(path), columns=["scenario_id", "user_id", "label", "hard"]).to_pylist():
        if row["hard"] and not row["label"]:
            marked[row["scenario_id"]].add(row["user_id"])
    return {name: frozenset(users) for name, users in marked.items()}


def read_labels(path: Path, split: str) -> dict[str, dict[str, int]]:
    """{scenario: {user: label}} of one split."""
    labels: dict[str, dict[str, int]] = defaultdict(dict)
    for row in pq.read_table(str(path), filters=[("split", "=", split)]).to_pylist():
        labels[row["scenario_id"]][row["user_id"]] = int(row["label"])
    return labels
