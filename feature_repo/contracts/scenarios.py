"""The scenarios of a lake: sentences about what users did after a cut-off, for evaluation and as examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from feature_repo.contracts.described import read_yaml
from feature_repo.contracts.errors import FoundError

SCENARIOS = Path("scenarios") / "scenarios.yaml"
LABELS = Path("scenarios") / "labels.parquet"
"""Both below a lake's folder."""


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
        return run_folder(self.cutoff, self.horizon_days)

    @property
    def ends(self) -> date:
        """The first day after its window."""
        return self.cutoff + timedelta(days=self.horizon_days)


def run_folder(cutoff: date, horizon_days: int) -> str:
    return f"{cutoff.isoformat()}_{horizon_days}d"


def read_scenarios(path: Path) -> list[Scenario]:
    """The scenarios of a `scenarios.yaml`, stripped of everything that is for reports. Raises FoundError naming the one
    that is none; an empty list is one, too."""
    if not path.is_file():
        raise FoundError(f"an evaluation needs the lake's scenarios, found no {path}.")
    listed = read_yaml(path)
    if not isinstance(listed, list) or not listed:
        raise FoundError(f"{path} must be a list of scenarios, found {_shown(listed)}.")
    found = [_scenario(each, f"{path}: scenario {place}") for place, each in enumerate(listed, 1)]
    if twice := {one.id for one in found if sum(one.id == other.id for other in found) > 1}:
        raise FoundError(f"{path}: each scenario has an id of its own, found {sorted(twice)} more than once.")
    return found


def label_rules(path: Path) -> dict[str, str]:
    """What the labels of each scenario mean, where its file says so: for people, and for no method."""
    listed = read_yaml(path)
    return {str(each["id"]): str(each["label_rule"]) for each in listed if each.get("label_rule")}


def _scenario(given: Any, where: str) -> Scenario:
    wanted = ("id", "demand", "cutoff", "horizon_days")
    if not isinstance(given, Mapping) or any(given.get(name) in (None, "") for name in wanted):
        raise FoundError(f"{where} must have {', '.join(wanted)}, found {_shown(given)}.")
    try:
        cutoff, days = date.fromisoformat(str(given["cutoff"])), int(given["horizon_days"])
    except (TypeError, ValueError) as error:
        raise FoundError(f"{where}: cutoff is a date and horizon_days a whole number: {error}.") from error
    if days < 1:
        raise FoundError(f"{where}: horizon_days is at least 1, found {days}.")
    return Scenario(str(given["id"]), str(given["demand"]), cutoff, days, str(given.get("domain", "")))


def _shown(value: Any) -> str:
    return repr(value)[:200]
