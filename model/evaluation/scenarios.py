"""The scenarios of a lake, as a method may see them, and their labels."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from feature_repo.contracts.errors import FoundError


@dataclass(frozen=True)
class Scenario:
    """All that a method may see of a scenario."""

    id: str
    demand: str
    cutoff: date
    horizon_days: int
    domain: str

    @property
    def run(self) -> str:
        """The folder of the model trained for this cut-off and horizon."""
        return f"{self.cutoff.isoformat()}_{self.horizon_days}d"


def read_scenarios(path: Path) -> list[Scenario]:
    """The scenarios of a `scenarios.yaml`, stripped of everything that is for reports."""
    try:
        return [
            Scenario(
                str(s["id"]),
                str(s["demand"]),
                date.fromisoformat(str(s["cutoff"])),
                int(s["horizon_days"]),
                str(s.get("domain", "")),
            )
            for s in yaml.safe_load(path.read_text())
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise FoundError(f"{path}: each scenario has id, demand, cutoff and horizon_days; found {error!r}.") from error


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
