"""Who of a day's users is within limits, by the day's own tables: of any number of users, without index and online
store. The limits are those that a question is answered within (serving/eligibility.py)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from feature_repo.contracts.names import EMBEDDING, JOIN_KEY, Workdir
from serving import held_facts
from serving.eligibility import Limits
from serving.facts import Column, Facts, read_facts
from serving.history import AnyRule, Event, Having
from serving.user_features import VIEWS

_BATCH = 4_096


def users_within(work: Workdir, ds: date, limits: Limits, columns: Sequence[Column]) -> list[str]:
    """The users of the day's embeddings who are within the limits. `columns` are those of the day."""
    asked = {comparison.stored for clause in limits.facts for comparison in clause}
    facts = read_facts(work, ds, [column for column in columns if column.stored in asked])
    without = set(limits.without)
    found = [
        user
        for batch in _batches(work.partition(EMBEDDING, ds), [JOIN_KEY, "text_keys"])
        for user in _met(batch, limits, facts)
        if user not in without
    ]
    return _keeping(found, work, ds, limits.rules) if limits.rules else found


def _met(batch: pa.RecordBatch, limits: Limits, facts: Facts) -> list[str]:
    users = batch[JOIN_KEY].to_pylist()
    met = held_facts.of_rows(facts.columns, [facts.of(user) for user in users]).meet(limits.facts)
    for one_of in limits.texts:
        met &= np.any([_has(batch["text_keys"], having) for having in one_of], axis=0)
    return [user for user, is_met in zip(users, met.tolist(), strict=True) if is_met]


def _has(keys: pa.ListArray, having: Having) -> NDArray[np.bool_]:
    ends = np.cumsum(pc.list_value_length(keys).to_numpy(zero_copy_only=False))
    hits = np.cumsum(np.isin(keys.flatten().to_numpy(), np.array(having.keys, np.int64)))
    until = np.concatenate([[0], hits])[np.concatenate([[0], ends])]
    return np.asarray((np.diff(until) > 0) != having.negated)


def _keeping(users: Sequence[str], work: Workdir, ds: date, rules: Sequence[AnyRule]) -> list[str]:
    """Those for whom all rules hold."""
    keys = np.array(sorted({key for group in rules for rule in group.rules for key in rule.keys}), np.int64)
    events: dict[str, list[Event]] = defaultdict(list)
    for user, event in _events(work, ds, keys):
        events[user].append(event)
    return [user for user in users if all(rule.holds(events.get(user, [])) for rule in rules)]


def _events(work: Workdir, ds: date, keys: NDArray[np.int64]) -> Iterator[tuple[str, Event]]:
    """Users and their events with these keys, as far as the day's features hold them."""
    for source, view in VIEWS.items():
        text, day = f"{source}_text", f"{source}_day"
        for batch in _batches(work.partition(view, ds), [JOIN_KEY, text, day]):
            lengths = pc.list_value_length(batch[text]).to_numpy(zero_copy_only=False)
            own, days = (batch[name].flatten().to_numpy() for name in (text, day))
            hits = np.flatnonzero(np.isin(own, keys))
            rows = np.repeat(np.arange(len(batch)), lengths)[hits]
            users = batch[JOIN_KEY].take(pa.array(rows)).to_pylist()
            for user, on, key in zip(users, days[hits].tolist(), own[hits].tolist(), strict=True):
                yield user, (source, on, key)


def _batches(folder: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Of the files that have these columns: a source that a lake has not is none."""
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            if set(columns) <= set(file.schema_arrow.names):
                yield from file.iter_batches(_BATCH, columns=columns)
