"""What would make an evaluation worthless: training windows that reach past a scenario's cut-off, which are refused,
and single columns of the candidates that give a label away, which the report warns of.

Shape suffixes: B users.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import Workdir
from feature_repo.contracts.windows import day_date
from model.data import Pairs, open_pairs
from model.evaluation.metrics import auc
from model.evaluation.scenarios import Scenario

REVEALS = 0.99
"""No honest count or profile column ranks who is going to act this well by itself."""
MOST_TEXTS = 50
"""Of each column of text keys the most frequent ones are looked at."""
MOST_SHOWN = 10


def refuse_late_pairs(scenarios: Sequence[Scenario], runs: Path) -> None:
    """Raises one FoundError that lists every window of training pairs that ends after the cut-off of the scenarios
    that are scored with it. A run whose pairs are gone is judged by its model alone (`runs.open_run`)."""
    late: list[str] = []
    for run, cutoff in dict.fromkeys((scenario.run, scenario.cutoff) for scenario in scenarios):
        folder = Workdir(runs / run).pairs
        if (folder / "manifest.json").exists():
            late += [f"{run}: [{first}, {end})" for first, end in _windows(open_pairs(folder)) if end > cutoff]
    if late:
        more = f" and {len(late) - MOST_SHOWN} more" if len(late) > MOST_SHOWN else ""
        raise FoundError(
            "training pairs reach past the cut-off of the scenarios that they are scored on; these futures end after "
            f"it: {'; '.join(late[:MOST_SHOWN])}{more}. Build pairs that end by it (build_pairs.py --until CUTOFF), "
            "and train again."
        )


def _windows(pairs: Pairs) -> Iterator[tuple[date, date]]:
    """Each cut-off of the rows themselves and of the manifest, and the day at which its future ends."""
    days = {int(day) for path in pairs.files for day in pq.read_table(str(path), columns=["cutoff_day"])[0].unique()}
    cutoffs = {day_date(day) for day in days} | {date.fromisoformat(day) for day in pairs.manifest["cutoffs"]}
    windows = pairs.manifest["windows"]
    for cutoff in sorted(cutoffs):
        begins = cutoff + timedelta(days=windows["gap_days"])
        yield begins, begins + timedelta(days=windows["horizon_days"])


def revealing(
    columns: Mapping[str, "np.ndarray"],
    label_B: "np.ndarray",
    *,
    profile: Mapping[str, Sequence[str]],
    texts: Mapping[int, str],
) -> list[tuple[str, float]]:
    """The columns (name, AUC) that alone rank the labels as well as REVEALS, in either direction, best first.

    Numbers are taken as they are, with nulls below all; of text keys each frequent one is a column of its own: a user
    has it or not. The search is for values that nobody can know at the cut-off, such as a label that was joined to the
    profiles. `profile` names the profile columns by kind, `texts` are those of the keys.
    """
    found = []
    for name, value_B in _single(columns, profile, texts):
        area = auc(label_B, value_B)
        if max(area, 1 - area) >= REVEALS:
            found.append((name, area))
    return sorted(found, key=lambda pair: -abs(pair[1] - 0.5))


def _single(
    columns: Mapping[str, "np.ndarray"], profile: Mapping[str, Sequence[str]], texts: Mapping[int, str]
) -> Iterator[tuple[str, "np.ndarray"]]:
    for name, values in columns.items():
        if name.endswith("_text"):
            yield from _keys(name.removesuffix("_text"), values, texts)
        elif name == "profile_categories":
            for column, key_B in zip(sorted(profile["categorical"]), values.T, strict=False):
                yield from _keys(column, key_B[:, None], texts)
        elif name == "profile_numbers":
            for column, number_B in zip(sorted(profile["numeric"]), values.T, strict=False):
                yield column, _below_all(number_B.astype(np.float64))
        elif values.ndim == 1:
            yield name, values.astype(np.float64)


def _below_all(number_B: "np.ndarray") -> "np.ndarray":
    known_B = np.isfinite(number_B)
    return np.where(known_B, number_B, number_B[known_B].min(initial=0.0) - 1)


def _keys(name: str, key_BL: "np.ndarray", texts: Mapping[int, str]) -> Iterator[tuple[str, "np.ndarray"]]:
    keys, counts = np.unique(key_BL[key_BL != 0], return_counts=True)
    for key in keys[np.argsort(-counts, kind="stable")[:MOST_TEXTS]].tolist():
        yield f"{name}: {texts.get(key, key)}", (key_BL == key).any(1).astype(np.float64)
