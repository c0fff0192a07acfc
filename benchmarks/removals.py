"""Users embedded again without some of their events: what a text was truly worth."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from feature_repo.contracts.events import EVENT_SOURCES
from model.data import Columns
from model.evaluation.runs import Run
from serving.reasons import MOST_REASONS

Keys = frozenset[int]


def without(columns: Columns, gone: Mapping[str, "np.ndarray"]) -> Columns:
    """The users without the events [B, n] of each source that are gone; the others move up."""
    changed = dict(columns)
    for source, gone_BN in gone.items():
        order = np.argsort(gone_BN, axis=1, kind="stable")
        kept = columns[f"{source}_length"] - gone_BN.sum(1)
        for kind in ("text", "day", "amount"):
            if (name := f"{source}_{kind}") in columns:
                moved = np.take_along_axis(columns[name], order, axis=1)
                changed[name] = np.where(np.arange(moved.shape[1]) < kept[:, None], moved, 0).astype(moved.dtype)
        changed[f"{source}_length"] = kept.astype(columns[f"{source}_length"].dtype)
    return changed


def real_events(columns: Columns) -> dict[str, "np.ndarray"]:
    """bool [B, n] of each source: which slots hold an event."""
    return {
        s: np.arange(columns[f"{s}_text"].shape[1]) < columns[f"{s}_length"][:, None]
        for s in EVENT_SOURCES
        if f"{s}_text" in columns
    }


def with_texts(columns: Columns, keys: Sequence[Keys]) -> dict[str, "np.ndarray"]:
    """Which events have one of the user's keys."""
    real = real_events(columns)
    for source, slot_BN in real.items():
        for row, own in enumerate(keys):
            slot_BN[row] &= np.isin(columns[f"{source}_text"][row], list(own))
    return real


def any_events(columns: Columns, counts: "np.ndarray", g: np.random.Generator) -> dict[str, "np.ndarray"]:
    """As many events of each user as it says, drawn from all sources."""
    real = real_events(columns)
    widths = np.cumsum([slot_BN.shape[1] for slot_BN in real.values()])
    joint_BN = np.concatenate(list(real.values()), axis=1)
    gone_BN = np.zeros_like(joint_BN)
    for row, count in enumerate(counts):
        gone_BN[row, g.choice(np.flatnonzero(joint_BN[row]), count, replace=False)] = True
    return dict(zip(real, np.split(gone_BN, widths[:-1], axis=1), strict=True))


def removal(
    run: Run, columns: Columns, demand: Any, keys: Sequence[Sequence[int]], g: np.random.Generator
) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Per user with more texts than reasons its place, and how far each removal lowers the true score."""
    before = run.model.embed(columns, run.vectors)
    rows = [row for row, own in enumerate(keys) if own and len(before.texts[row][0]) > MOST_REASONS]
    if not rows:
        return
    columns = {name: values[rows] for name, values in columns.items()}
    own = [frozenset(keys[row]) for row in rows]
    others = [frozenset(g.choice(before.texts[row][0], len(keys[row]), replace=False).tolist()) for row in rows]
    first = with_texts(columns, own)
    counts = sum(slots.sum(1) for slots in first.values())
    gone = (first, with_texts(columns, others), any_events(columns, counts, g))
    score_B = run.model.score(before, demand, run.vectors)[rows]
    drops = [
        score_B - run.model.score(run.model.embed(without(columns, each), run.vectors), demand, run.vectors)
        for each in gone
    ]
    for place, row in enumerate(rows):
        yield row, tuple(float(drop[place]) for drop in drops)
