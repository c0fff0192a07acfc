"""Which day and which horizon `found run` takes where none is given: from what the lake was observed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import Workdir
from feature_repo.contracts.windows import cutoff_instant

HORIZON_DAYS = 30
LAKE_REPORT = "lake_report.json"


@dataclass(frozen=True)
class Plan:
    """The cut-off of the run, the horizon of its training futures, and what the user should know of them."""

    ds: date
    horizon_days: int
    note: str


def read_report(work: Workdir) -> dict[str, Any]:
    """What the validation step found in the lake."""
    path = work.root / LAKE_REPORT
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise FoundError(f"{path} must be the report of the validation step, it cannot be read: {error}.") from error


def plan(report: Mapping[str, Any], *, ds: date | None, horizon_days: int) -> Plan:
    """The given day and horizon. Without a day: the last midnight that the lake was observed up to.

    Without a horizon (0): 30 days, or a quarter of the lake's span where that is less.
    """
    ends, first = _instant(report["ends"]), _instant(report["first_event"])
    day = ds or ends.date()
    if cutoff_instant(day) > ends:
        raise FoundError(
            f"the lake is observed until {ends:%Y-%m-%d %H:%M} UTC; a ds must not lie after it, found {day}."
        )
    if horizon_days:
        return Plan(day, horizon_days, f"as of {day}, looking {horizon_days} days ahead")
    span = (cutoff_instant(day) - first) / timedelta(days=1)
    days = max(1, min(HORIZON_DAYS, int(span / 4)))
    why = f" (a quarter of the lake's {span:.0f} days)" if days < HORIZON_DAYS else ""
    return Plan(day, days, f"as of {day}, looking {days} days ahead{why}")


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
