"""How far what a stored audience counts is from a lake's own labels (fit split).

    python benchmarks/counts.py LAKE WORKDIR/evaluation/CUTOFF_HORIZONd

Of each scenario of that cut-off: the share that is labelled, the share that counts by the demand's own reading
(docs/audiences.md), and the precision and recall of the second against the first. LAKE is a folder of Parquet tables.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import EVENT_TEMPLATES, event_text, summaries, text_key
from feature_repo.contracts.windows import cutoff_instant
from model.evaluation.scenarios import Scenario, read_labels, read_scenarios
from serving.audiences.counting import Counting
from serving.audiences.rewritten import RewrittenMeaning

Happened = dict[str, set[int]]


def happened(lake: Path, scenario: Scenario) -> Happened:
    """User -> keys of the sentences about the scenario's window."""
    document = yaml.safe_load((lake / "lake.yaml").read_text())
    start = cutoff_instant(scenario.cutoff)
    end = start + timedelta(days=scenario.horizon_days)
    events: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for source in (name for name in document["sources"] if name != "profiles"):
        theirs = {name: ours for ours, name in document.get("columns", {}).get(source, {}).items()}
        table = pq.read_table(str(lake / document.get("tables", {}).get(source, source)))
        table = table.rename_columns([theirs.get(name, name) for name in table.column_names])
        within = pc.and_(pc.greater_equal(table["event_time"], start), pc.less(table["event_time"], end))
        for row in table.filter(within).drop_columns("event_time").to_pylist():
            events[row["user_id"]].append((source, row))
    currency = document.get("currency", "")
    return {
        user: {text_key(text) for text in _texts(own)} | {text_key(text) for text in summaries(own, currency)}
        for user, own in events.items()
    }


def _texts(events: list[tuple[str, Mapping[str, Any]]]) -> set[str]:
    return {event_text(EVENT_TEMPLATES[source], row) for source, row in events}


def compared(counts: Counting, labels: Mapping[str, int], keys: Happened, currency: str) -> str:
    nothing = {text_key(text) for text in summaries([], currency)}
    labelled = np.array(list(labels.values()), bool)
    counted = np.array([counts.happened(keys.get(user, nothing)) for user in labels])
    both = float((labelled & counted).sum())
    precision = f"{both / counted.sum():.2f}" if counted.any() else "-"
    return f"{labelled.mean():8.3f}{counted.mean():8.3f}{precision:>10}{both / max(1, labelled.sum()):8.2f}"


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("lake", type=Path)
    parse.add_argument("run", type=Path)
    given = parse.parse_args()
    folder = given.lake / "scenarios"
    cutoff = date.fromisoformat(given.run.name.split("_")[0])
    meaning, fit = RewrittenMeaning(Settings(workdir=str(given.run))), read_labels(folder / "labels.parquet", "fit")
    currency = yaml.safe_load((given.lake / "lake.yaml").read_text()).get("currency", "")
    print(f"{'scenario':<24}{'labelled':>8}{'counts':>8}{'precision':>10}{'recall':>8}")
    for scenario in read_scenarios(folder / "scenarios.yaml"):
        if scenario.cutoff == cutoff:
            counts = meaning.of(scenario.demand, cutoff.isoformat())
            told = (
                compared(counts, fit[scenario.id], happened(given.lake, scenario), currency)
                if counts.groups
                else f"  not measurable: {counts.reason}"
            )
            print(f"{scenario.id:<24}{told}")


if __name__ == "__main__":
    main()
