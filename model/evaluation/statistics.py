"""What a lake is like (table 1 of the paper), as of a cut-off: from its snapshot, its pairs and its labels."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.names import ACTIVITY, Workdir
from model.data import open_pairs


def statistics(work: Workdir, cutoff: date) -> dict[str, Any]:
    """Users, their histories by source, and the training pairs. An event counts where it lies in a history: before
    the cut-off, and no longer ago than histories reach."""
    folder = work.partition(ACTIVITY, cutoff)
    if not folder.exists():
        raise FoundError(f"no snapshot of {cutoff} in {work.root}: run spark_jobs/build_features.py --ds {cutoff}.")
    counts = pq.read_table(str(folder), columns=[f"{source}_count" for source in EVENT_SOURCES])
    by_source = {source: np.asarray(counts[f"{source}_count"], np.float64) for source in EVENT_SOURCES}
    pairs = open_pairs(work.pairs)
    total_B = np.sum(list(by_source.values()), axis=0)
    return {
        "cutoff": cutoff.isoformat(),
        "users": counts.num_rows,
        "events": {source: int(count_B.sum()) for source, count_B in by_source.items()},
        "users_with": {source: int((count_B > 0).sum()) for source, count_B in by_source.items()},
        "history": {
            "mean": float(total_B.mean()) if len(total_B) else 0.0,
            "median": float(np.median(total_B)) if len(total_B) else 0.0,
        },
        "texts": len(pairs.texts()[0]),
        "pairs": int(pairs.manifest["rows"]),
        "cutoffs": len(set(pairs.manifest["cutoffs"])),
        "windows": dict(pairs.manifest["windows"]),
        "profile": {kind: len(pairs.manifest["profile"][kind]) for kind in ("categorical", "numeric")},
    }


def label_statistics(splits: Sequence[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, float]]:
    """Of each scenario the candidates and the share of them that acts, over all splits {scenario: {user: label}}."""
    names = dict.fromkeys(name for split in splits for name in split)
    found = {}
    for name in names:
        labels = [label for split in splits for label in split.get(name, {}).values()]
        found[name] = {"users": len(labels), "base_rate": float(np.mean(labels))}
    return found
