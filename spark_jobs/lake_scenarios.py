"""What the scenarios of a lake are refused for, before anything is trained."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.scenarios import LABELS, SCENARIOS, read_scenarios

_COLUMNS = ("scenario_id", "user_id", "label", "split")
_SPLITS = ("fit", "eval")


def scenario_report(root: Path) -> list[str]:
    """A line for people on the scenarios and their labels; none where the lake has no scenarios.

    Raises FoundError naming what is wrong with either.
    """
    if not (root / SCENARIOS).is_file():
        return []
    ids = [scenario.id for scenario in read_scenarios(root / SCENARIOS)]
    if not (root / LABELS).is_file():
        return [f"scenarios: {len(ids)}, without labels: found evaluate needs {LABELS}"]
    measured = _labelled(root / LABELS, ids)
    unmeasured = [name for name in ids if measured[name] < 2]
    told = f"; nobody or everybody does it, so that nothing is measured: {', '.join(unmeasured)}" if unmeasured else ""
    return [f"scenarios: {len(ids)}, {len(ids) - len(unmeasured)} with users of both kinds to be measured by{told}"]


def _labelled(path: Path, ids: list[str]) -> Counter[str]:
    """How many kinds of users of the eval split each scenario has."""
    try:
        names = pq.read_schema(path).names
        if missing := [name for name in _COLUMNS if name not in names]:
            raise FoundError(f"{path} lacks the columns {missing}; it has {names}.")
        table = pq.read_table(path, columns=list(_COLUMNS))
    except (pa.ArrowException, OSError) as error:
        raise FoundError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}.") from error
    for name in _COLUMNS:
        if nulls := table[name].null_count:
            raise FoundError(f"{path}: {name} is null in {nulls} rows: drop them, or fill the column.")
    kinds = table.group_by(["scenario_id", "split", "label"]).aggregate([]).to_pylist()
    for allowed, name in ((ids, "scenario_id"), (_SPLITS, "split"), ((0, 1), "label")):
        if strange := sorted({kind[name] for kind in kinds} - set(allowed), key=str):
            raise FoundError(f"{path}: {name} is one of {list(allowed)}, found {strange}.")
    return Counter(kind["scenario_id"] for kind in kinds if kind["split"] == "eval")
