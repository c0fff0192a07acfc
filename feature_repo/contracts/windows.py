"""Half-open windows around a cut-off t: history [t - h, t), future [t + gap, t + gap + H)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from feature_repo.contracts.errors import FoundError

EPOCH = date(1970, 1, 1)


def day_number(day: date) -> int:
    """How columns hold a day: days since 1970-01-01."""
    return (day - EPOCH).days


def day_date(number: int) -> date:
    """The day of a number."""
    return EPOCH + timedelta(days=number)


def cutoff_instant(day: date | str) -> datetime:
    """00:00 UTC of a day: the cut-off that a `ds` or a scenario names."""
    try:
        day = day if isinstance(day, date) else date.fromisoformat(day)
    except ValueError as error:
        raise FoundError(f"a cut-off is a date like 2011-06-01, found {day!r}.") from error
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    """[start, end), both UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for instant in (self.start, self.end):
            if instant.tzinfo is None:
                raise FoundError(
                    f"a window's bounds must carry a time zone, got {instant.isoformat()}: a naive time moves the "
                    "window by the driver's UTC offset. Write datetime(..., tzinfo=UTC)."
                )

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end


@dataclass(frozen=True)
class Windows:
    """The lengths, in days, of one forecasting task."""

    history_days: int
    horizon_days: int
    gap_days: int = 0

    def __post_init__(self) -> None:
        for name, least in (("history_days", 1), ("horizon_days", 1), ("gap_days", 0)):
            if (value := getattr(self, name)) < least:
                raise FoundError(f"{name} must be at least {least}, found {value}.")

    def history(self, cutoff: datetime) -> Window:
        return Window(cutoff - timedelta(days=self.history_days), cutoff)

    def future(self, cutoff: datetime) -> Window:
        start = cutoff + timedelta(days=self.gap_days)
        return Window(start, start + timedelta(days=self.horizon_days))


def parse_cutoffs(text: str) -> tuple[date, ...]:
    """`FROM:TO:STEP` (both ends included, STEP in days) or a single date, oldest first."""
    parts = text.split(":")
    try:
        if len(parts) == 1:
            return (date.fromisoformat(text),)
        first, last, step = date.fromisoformat(parts[0]), date.fromisoformat(parts[1]), int(parts[2])
        if len(parts) != 3 or step < 1 or last < first:
            raise ValueError
    except (ValueError, IndexError) as error:
        raise FoundError(
            "cut-offs are FROM:TO:STEP with STEP >= 1 day and FROM <= TO, e.g. 2010-06-01:2011-03-01:21, "
            f"found {text!r}."
        ) from error
    return tuple(first + timedelta(days=d) for d in range(0, (last - first).days + 1, step))


def refuse_unobserved(cutoffs: Sequence[date], windows: Windows, ends: datetime) -> None:
    """An unobserved future is not an empty one: raises FoundError for a future window that passes `ends`."""
    for day in cutoffs:
        future = windows.future(cutoff_instant(day))
        if future.end > ends:
            raise FoundError(
                f"the future of cut-off {day} is [{future.start:%Y-%m-%d}, {future.end:%Y-%m-%d}), but the lake is "
                f"observed only until {ends:%Y-%m-%d %H:%M} UTC: choose cut-offs up to "
                f"{ends - timedelta(days=windows.horizon_days + windows.gap_days):%Y-%m-%d} or a shorter horizon."
            )


AUTO, AUTO_COUNT = "auto", 16
AUTO_CUTOFFS = f"{AUTO}:{AUTO_COUNT}"
"""Training cut-offs where none are named: so many, as `training_cutoffs` spaces them."""


def training_cutoffs(starts: datetime, until: datetime, windows: Windows, count: int) -> tuple[date, ...]:
    """At most `count` evenly spaced cut-offs, oldest first, whose futures end at or before `until`.

    The newest lies as late as the horizon allows. The oldest leaves a history of at least a third of
    the horizon, or of a quarter of the usable span where that is shorter. Raises FoundError if the lake
    is too short for a single one.
    """
    newest = until - timedelta(days=windows.horizon_days + windows.gap_days)
    newest = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    usable_days = (newest - starts) / timedelta(days=1)
    if usable_days < 1:
        raise FoundError(
            f"no training cut-off fits: the lake is observed from {starts:%Y-%m-%d} and its training futures of "
            f"{windows.horizon_days} days (+ {windows.gap_days} gap) must end by {until:%Y-%m-%d}. "
            "Use a shorter horizon or a longer lake."
        )
    oldest_age = max(1.0, min(windows.horizon_days, usable_days / 4))
    span = int(usable_days - oldest_age)
    step = max(1, -(-span // max(1, count - 1)))
    days = [newest.date() - timedelta(days=step * i) for i in range(count) if step * i <= span]
    return tuple(reversed(days))
