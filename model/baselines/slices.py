"""Histories cut short: users as they were earlier, or within a stretch of their lives.

Shape suffixes: B users, L event slots.
"""

from collections.abc import Sequence

import numpy as np

from model.baselines.loop import Draw
from model.baselines.training import count_of, history_days
from model.data import Columns

ARRAYS = ("text", "day", "amount")


def between(users: Columns, first_B: "np.ndarray", end_B: "np.ndarray", sources: Sequence[str]) -> Columns:
    """The users as of the cut-offs `end_B`, with histories of these sources that begin at the days `first_B`.

    Only sequences are cut: activity and profile stay what they were.
    """
    found = dict(users) | {"cutoff_day": end_B.astype(users["cutoff_day"].dtype)}
    for source in sources:
        day_BL = users[f"{source}_day"]
        found |= _kept(users, source, (day_BL > 0) & (day_BL >= first_B[:, None]) & (day_BL < end_B[:, None]))
    return found


def thinned(users: Columns, sources: Sequence[str], share: float, draw: Draw) -> Columns:
    """The users without a random share of their events."""
    found = dict(users)
    for source in sources:
        day_BL = users[f"{source}_day"]
        found |= _kept(users, source, (day_BL > 0) & (draw.random(day_BL.shape) >= share))
    return found


def random_slice(users: Columns, sources: Sequence[str], *, shortest: int, longest: int, draw: Draw) -> Columns:
    """Of each user a run of `shortest` to `longest` consecutive events, all where there are fewer (Babaev et al. 2022,
    algorithm 1), as of a random day before the next event. Events of one day stay together."""
    day_BL, count_B = ordered_days(users, sources)
    size_B = np.minimum(draw.integers(shortest, longest + 1, len(count_B)), count_B)
    start_B = (draw.random(len(count_B)) * (count_B - size_B + 1)).astype(np.int64)
    first_B = _day_of(day_BL, count_B, start_B)
    end_B = day_within(users, day_BL, count_B, start_B + size_B, draw)
    return between(users, first_B, end_B, sources)


def ordered_days(users: Columns, sources: Sequence[str]) -> tuple["np.ndarray", "np.ndarray"]:
    """The days [B, L] of all events ascending behind the zeros of empty slots, and how many events each user has."""
    day_BL = np.sort(history_days(users, sources), axis=1)
    return day_BL, (day_BL > 0).sum(1)


def day_within(
    users: Columns, day_BL: "np.ndarray", count_B: "np.ndarray", events_B: "np.ndarray", draw: Draw
) -> "np.ndarray":
    """A random cut-off after each user's first `events_B` events and not after the next one (or the own cut-off)."""
    cutoff_B = users["cutoff_day"]
    last_B = _day_of(day_BL, count_B, np.maximum(events_B - 1, 0))
    next_B = np.where(events_B < count_B, _day_of(day_BL, count_B, events_B), cutoff_B)
    room_B = np.maximum(next_B - last_B, 1)
    chosen_B = last_B + 1 + (draw.random(count_of(users)) * room_B).astype(np.int64)
    return np.where(count_B > 0, np.minimum(chosen_B, cutoff_B), cutoff_B)


def _day_of(day_BL: "np.ndarray", count_B: "np.ndarray", event_B: "np.ndarray") -> "np.ndarray":
    """The day of each user's event of this number, from 0; the newest one's where there are fewer."""
    place_B = np.clip(day_BL.shape[1] - count_B + event_B, 0, day_BL.shape[1] - 1)
    return day_BL[np.arange(len(day_BL)), place_B].astype(np.int64)


def _kept(users: Columns, source: str, is_kept_BL: "np.ndarray") -> Columns:
    """A source's columns with these events alone, newest first."""
    order_BL = np.argsort(~is_kept_BL, axis=1, kind="stable")
    real_BL = np.take_along_axis(is_kept_BL, order_BL, 1)
    found = {f"{source}_length": is_kept_BL.sum(1).astype(users[f"{source}_length"].dtype)}
    for name in (f"{source}_{what}" for what in ARRAYS):
        if name in users:
            values = users[name]
            found[name] = np.where(real_BL, np.take_along_axis(values, order_BL, 1), 0).astype(values.dtype)
    return found
