"""What benchmarks of evaluated scenarios are asked with, and what they go through."""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from feature_repo.contracts.names import Workdir
from model.evaluation.scenarios import Scenario, read_labels, read_scenarios

Labels = dict[str, dict[str, int]]


def arguments(does: str | None) -> argparse.ArgumentParser:
    """WORKDIR is that of `found evaluate LAKE`: its models never saw the scenarios' windows."""
    parser = argparse.ArgumentParser(description=does, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("lake", type=Path)
    parser.add_argument("--out", type=Path)
    return parser


def runs(given: argparse.Namespace) -> tuple[list[tuple[Workdir, list[Scenario]]], Labels]:
    """The scenarios of the lake by the run that answers them, and their labels."""
    by_run: dict[str, list[Scenario]] = defaultdict(list)
    for scenario in read_scenarios(given.lake / "scenarios" / "scenarios.yaml"):
        by_run[scenario.run].append(scenario)
    labels = read_labels(given.lake / "scenarios" / "labels.parquet", "eval")
    return [(Workdir(given.workdir / "evaluation" / name), found) for name, found in by_run.items()], labels


def tell(found: dict[str, Any], out: Path | None, *, without: str) -> None:
    """Prints it without one of its parts, and writes it whole."""
    print(json.dumps({name: value for name, value in found.items() if name != without}, indent=1))
    if out:
        out.write_text(json.dumps(found, indent=1) + "\n")
