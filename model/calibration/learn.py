"""What calibration keeps of the pairs that a model was trained on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.pair_files import known_as
from feature_repo.contracts.templates import text_key
from feature_repo.contracts.windows import day_date
from model.calibration.drift import drift
from model.calibration.past import CONFIG, Past
from model.calibration.units import Units
from model.data import Columns, Pairs, array, read_file_pyarrow, rows_of
from model.found import FoundModel
from model.rewriting.lake import KnownLake, know_lake
from model.text_cache import TextTable
from model.vectors import Users

USERS = 4_000
"""Past users: those of the newest cut-offs, a sample where there are more."""
MAX_TEXTS = 60_000
"""Distinct texts of their histories; fewer users are kept where there would be more."""
BATCH = 256


def learn(model: FoundModel, pairs: Pairs, cache: Path) -> Past:
    """The past of a model's pairs. `cache` is the work directory's text cache. The same pairs give the same past.

    Raises FoundError where the model has other pairs, or knows no probability.
    """
    if model.recipe.alignment == "infonce":
        raise FoundError("a model aligned by InfoNCE gives no log odds to calibrate: use a recipe that does.")
    if model.metadata["pairs"] not in known_as(pairs.manifest):
        raise FoundError(f"the model {model.version} was trained on other pairs than those in {pairs.folder}.")
    model.cache_texts(cache, *pairs.texts())
    table, lake = model.text_vectors(cache), know_lake(pairs)
    now, then = (_at(pairs, cutoffs) for cutoffs in _times(pairs))
    past = _past(model, now, table, lake)
    apart = float(now["cutoff_day"].mean() - then["cutoff_day"].mean())
    horizon = int(pairs.manifest["windows"]["horizon_days"])
    day = day_date(int(now["cutoff_day"].max()))
    measured = drift(model, past, _past(model, then, table, lake), day, apart / horizon)
    return replace(past, drift=measured)


def _times(pairs: Pairs) -> tuple[list[int], list[int]]:
    """The newest cut-offs that hold USERS pairs together, and as many older ones; these a horizon earlier where there
    are any so old, else the oldest."""
    days, counts = np.unique(_days(pairs), return_counts=True)
    newest = _enough(days, counts)
    horizon = int(pairs.manifest["windows"]["horizon_days"])
    old = days <= max(int(newest.min()) - horizon, int(days[0]))
    return newest.tolist(), _enough(days[old], counts[old]).tolist()


def _enough(days: "np.ndarray", counts: "np.ndarray") -> "np.ndarray":
    reached = np.searchsorted(np.cumsum(counts[::-1]), USERS) + 1
    return np.asarray(days[-min(int(reached), len(days)) :])


def _days(pairs: Pairs) -> "np.ndarray":
    read = [array(pq.read_table(str(path), columns=["cutoff_day"])["cutoff_day"]) for path in pairs.files]
    return np.concatenate(read)


def _at(pairs: Pairs, cutoffs: Sequence[int]) -> Columns:
    """At most USERS pairs of these cut-offs, drawn by a fixed seed."""
    parts: list[Columns] = []
    for path in pairs.files:
        rows = read_file_pyarrow(path)
        parts.append(rows_of(rows, np.isin(rows["cutoff_day"], cutoffs)))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    count = len(columns["cutoff_day"])
    drawn = np.random.default_rng(0).permutation(count)[:USERS]
    kept = rows_of(columns, np.sort(drawn))
    while len(drawn) > 1 and _texts_in(kept) > MAX_TEXTS:
        drawn = drawn[: len(drawn) // 2]
        kept = rows_of(columns, np.sort(drawn))
    return kept


def _texts_in(columns: Columns) -> int:
    names = [name for name in columns if name.endswith("_text") and name != "future_text"]
    return len(np.unique(np.concatenate([columns[name].ravel() for name in names])))


def _past(model: FoundModel, columns: Columns, table: TextTable, lake: KnownLake) -> Past:
    parts = [
        model.embed(rows_of(columns, slice(i, i + BATCH)), table) for i in range(0, len(columns["user_key"]), BATCH)
    ]
    users = Users(np.concatenate([part.vectors for part in parts]), [own for part in parts for own in part.texts])
    known = np.unique(np.concatenate([own for own, _ in users.texts]))
    future = columns["future_text"]
    keys = np.unique(future[future != 0])
    strings, is_event_V, source_VS = _told(lake, keys)
    units = Units.of(strings)
    return Past(
        users=users,
        known=TextTable(known, table.vectors[np.append(0, table.rows(known))].astype(np.float16), table.encoder),
        future_NF=np.where(future == 0, -1, np.searchsorted(keys, future)).astype(np.int32),
        texts=strings,
        is_event_V=is_event_V,
        source_VS=source_VS,
        text_VE=table.vectors[table.rows(keys)].astype(np.float16),
        units=units.names,
        unit_UE=model.encode_texts(units.names).astype(np.float16),
        words=lake.words,
        drift=0.0,
    )


def _told(lake: KnownLake, keys: "np.ndarray") -> tuple[tuple[str, ...], "np.ndarray", "np.ndarray"]:
    """The texts of these keys, in their order, which of them are events, and of which sources."""
    places = np.searchsorted(np.array([text_key(text) for text in lake.texts], np.int64), keys)
    return tuple(lake.texts[place] for place in places), lake.is_event_V[places], lake.source_VS[places]


def calibrate(folder: Path, pairs: Pairs, cache: Path) -> str:
    """Writes the calibration of the model in `folder` beside it, over what lies there; returns what to tell."""
    (folder / CONFIG).unlink(missing_ok=True)
    model = FoundModel.from_pretrained(folder)
    past = learn(model, pairs, cache)
    past.save(folder, model=model.version)
    return (
        f"calibration of model {model.version}: {len(past.future_NF):,} past users, {len(past.texts):,} texts of their "
        f"futures; sizes drift by a factor of {np.exp(past.drift):.2f} in a horizon"
    )
