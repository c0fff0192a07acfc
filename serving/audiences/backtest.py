"""Promises kept: when an audience's window has passed, what its members did is put beside what was predicted.

    found backtest --workdir DIR                       (or python -m serving.audiences.backtest --ds DATE, for a night)

A Spark job reads the lake's events of the windows (`spark_jobs/build_outcomes.py`), only when a window has passed. What
counts was fixed when the audience was made (serving/audiences/counting.py) and is stored with the figures.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import Workdir, outcome_name
from feature_repo.contracts.settings import Settings, read_settings
from feature_repo.contracts.steps import OUTCOMES
from serving.audiences.counting import Counting
from serving.audiences.database import Database
from serving.audiences.errors import AudienceMissing, BacktestImpossible
from serving.audiences.measures import Population, Realised, backtested, flags
from serving.audiences.records import StoredAudience
from serving.audiences.store import AudienceStore
from serving.processes import environment, run_process
from serving.progress import table

MEASURED, NOT_MEASURABLE, NOT_OBSERVED, DELETED = "measured", "not measurable", "not observed yet", "deleted meanwhile"


def backtest(settings: Settings, *, until: date, read_lake: Callable[[Settings], None] | None = None) -> list[str]:
    """Fills in what became of every audience whose window has ended by `until`; one line for each. Safe to run again.

    An audience whose window the lake was not observed to the end of is left for the next time.
    """
    settings.require("workdir")
    if not settings.work.audiences.is_file():
        return []
    store = AudienceStore(Database(settings.work.audiences))
    due = store.due(until)
    countable = [audience for audience in due if _counting(audience).groups]
    if countable:
        if not settings.lake:
            raise BacktestImpossible(f"{len(countable)} windows have passed, but no lake is named to read them from.")
        _ask(settings.work, countable)
        (read_lake or _read_lake)(settings)
    manifest = _manifest(settings.work) if countable else {}
    return [_told(audience, *_settled(store, settings.work, audience, manifest)) for audience in due]


def _settled(
    store: AudienceStore, work: Workdir, audience: StoredAudience, manifest: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    try:
        return _settle(store, work, audience, manifest)
    except AudienceMissing:
        return DELETED, {}


def _settle(
    store: AudienceStore, work: Workdir, audience: StoredAudience, manifest: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    counting = _counting(audience)
    if not counting.groups:
        found: dict[str, Any] = {"status": NOT_MEASURABLE, "reason": counting.reason}
        store.record(audience.id, found)
        return NOT_MEASURABLE, found
    name = outcome_name(date.fromisoformat(audience.ds), audience.horizon_days, audience.gap_days)
    window = manifest.get(name, {})
    if not window.get("observed"):
        return NOT_OBSERVED, {}
    figures = measured(store, audience, counting, work.outcomes / name, int(window["population"]))
    found = {"status": MEASURED, **figures, "counts": audience.counting, "measured_at": _now()}
    store.record(audience.id, found)
    return MEASURED, found


def measured(
    store: AudienceStore, audience: StoredAudience, counting: Counting, folder: Path, population: int
) -> dict[str, Any]:
    """The figures of one audience, from what happened in its window.

    Where not doing is what counts, a user of whom nothing is read did it.
    """
    members = [member for page in store.members(audience.id) for _, member in page]
    happened = _happened(folder, counting.keys)
    did = frozenset(user for user, keys in happened.items() if counting.happened(keys))
    by_default = counting.happened(frozenset())
    if by_default:
        did = did | {member.user_id for member in members if member.user_id not in happened}
    everybody = len(did & happened.keys()) + (population - len(happened) if by_default else 0)
    realised = Realised(
        np.array([member.probability for member in members]),
        flags([member.user_id for member in members], did),
        np.array([member.holdout for member in members], dtype=bool),
    )
    return backtested(realised, Population(population, everybody), audience.prediction or {})


def _happened(folder: Path, keys: Iterable[int]) -> dict[str, set[int]]:
    """Of every user with any of these texts: which ones."""
    wanted, found = set(keys), dict[str, set[int]]()
    for path in sorted(folder.glob("*.parquet")):
        for row in pq.read_table(path, columns=["user_id", "text_key"]).to_pylist():
            if row["text_key"] in wanted:
                found.setdefault(row["user_id"], set()).add(row["text_key"])
    return found


def _ask(work: Workdir, audiences: Iterable[StoredAudience]) -> None:
    windows: dict[tuple[str, int, int], set[int]] = {}
    for audience in audiences:
        window = audience.ds, audience.horizon_days, audience.gap_days
        windows.setdefault(window, set()).update(_counting(audience).keys)
    names = ("ds", "horizon_days", "gap_days")
    asked = [dict(zip(names, window, strict=True)) | {"keys": sorted(keys)} for window, keys in sorted(windows.items())]
    draft = work.outcomes_asked.with_suffix(".draft")
    draft.write_text(json.dumps(asked))
    draft.replace(work.outcomes_asked)


def _read_lake(settings: Settings) -> None:
    argv = OUTCOMES.argv({})
    run_process(OUTCOMES.name, argv, environ=environment(settings, os.environ), log=_log(settings.work))


def _log(work: Workdir) -> Path:
    return work.root / "logs" / f"{OUTCOMES.name}.log"


def _manifest(work: Workdir) -> dict[str, Any]:
    path = work.outcomes / "manifest.json"
    try:
        return dict(json.loads(path.read_text())["windows"])
    except (OSError, ValueError, KeyError) as error:
        raise FoundError(f"{path} must tell what happened in the windows, it cannot be read: {error}.") from error


def _counting(audience: StoredAudience) -> Counting:
    return Counting.from_dict(audience.counting or {})


def _told(audience: StoredAudience, status: str, found: Mapping[str, Any]) -> str:
    said = f"{audience.id}  {audience.name}: {status}"
    if status == NOT_MEASURABLE:
        return f"{said} ({found['reason']})"
    if status == DELETED:
        return said
    if status == NOT_OBSERVED:
        return f"{said} (the lake does not reach the end of its window)"
    realised, predicted = found["realised"], found["predicted"]
    rows = [(str(d["decile"]), f"{d['rate']:.3f}", _lift(d["lift"])) for d in found["deciles"]]
    return (
        f"{said}: {realised['count']} of {realised['users']} did it, {predicted['expected']:.1f} were expected; "
        f"of everybody {found['base_rate']:.1%}\n{table(('decile', 'rate', 'lift'), rows)}"
    )


def _lift(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def show_backtest(settings: Settings, *, until: date | None) -> str:
    """See backtest; windows that ended by today where no day is given."""
    lines = backtest(settings, until=until or datetime.now(UTC).date())
    return "\n\n".join(lines) if lines else "no audience's window has passed since the last time"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.audiences.backtest", description="Look at past promises.")
    parser.add_argument("--ds", type=date.fromisoformat, help="windows that ended by this day (default: today)")
    parser.add_argument("--lake")
    parser.add_argument("--workdir")
    given = parser.parse_args(arguments)
    try:
        settings = read_settings(os.environ, Path.cwd()).with_arguments(vars(given))
        print(show_backtest(settings, until=given.ds))
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
