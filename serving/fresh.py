"""A user's embedding from the features that are online now, by the model of the published index.

The columns are those of a night (model/rows.py does for an online lookup what Spark does for a snapshot), and the model
embeds them by the same code: a user whose features did not change gets the vector that the index holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from feature_repo.contracts.inputs import Column, Lengths, pair_columns
from feature_repo.contracts.names import TIMESTAMP, Workdir
from model.rows import columns_of
from model.text_cache import TextTable as TextVectors
from serving.audience import DemandModel
from serving.errors import FeaturesMissing, VersionsDisagree
from serving.rows import Publication
from serving.targeting import Targeting
from serving.texts import TextTable, read_texts


@dataclass(frozen=True)
class WeightedText:
    """A text of the history and its weight for late interaction."""

    text: str
    weight: float


@dataclass(frozen=True)
class Fresh:
    """`features_ds` is the cut-off of the online features; equal `input_hash`es of one model mean equal embeddings."""

    user_id: str
    vector: tuple[float, ...]
    texts: tuple[WeightedText, ...]
    features_ds: str
    input_hash: str
    publication: Publication


def embedded(targeting: Targeting, work: Workdir, user_id: str) -> Fresh:
    """Raises UserWithoutFeatures, FeaturesMissing, or VersionsDisagree for features of several days."""
    values = targeting.features.columns_of(user_id)
    day = _day(user_id, values[TIMESTAMP][0])
    model = targeting.model
    columns = model_columns(model, values, day)
    texts = targeting.texts if day == targeting.day else read_texts(work, day)
    users = model.embed(columns, with_vectors(model, targeting.vectors, texts, columns, day))
    keys, weights = users.texts[0]
    known = texts.of(keys.tolist())
    own = zip(keys.tolist(), weights.tolist(), strict=True)
    return Fresh(
        user_id,
        tuple(users.vectors[0].tolist()),
        tuple(WeightedText(known.get(key, ""), weight) for key, weight in sorted(own, key=lambda pair: -pair[1])),
        day.isoformat(),
        model.input_hashes(columns)[0],
        targeting.publication,
    )


def model_columns(model: DemandModel, values: Mapping[str, Sequence[Any]], day: date) -> dict[str, "np.ndarray"]:
    """What the model reads of an online lookup, arrays cut to the lengths that it was trained with."""
    profile = model.metadata["profile"]
    columns = pair_columns(
        Lengths(**model.metadata["lengths"]),
        categorical=len(profile["categorical"]),
        numeric=len(profile["numeric"]),
    )
    return columns_of({**values, **_cut(values, columns)}, columns, profile=profile, day=day)


def with_vectors(
    model: DemandModel, vectors: Any, texts: TextTable, columns: Mapping[str, "np.ndarray"], day: date
) -> TextVectors:
    """The vectors of these columns' texts: those of the cache, and new texts encoded now."""
    keys = np.unique(np.concatenate([values.ravel() for name, values in columns.items() if name.endswith("_text")]))
    keys = keys[keys != 0]
    new = keys[~np.isin(keys, vectors.keys)]
    if not len(new):
        return vectors  # type: ignore[no-any-return]
    strings = texts.of(new.tolist())
    if unknown := [key for key in new.tolist() if key not in strings]:
        raise FeaturesMissing(
            f"the online features of {day} name {len(unknown)} texts that the snapshot of that day does not hold."
        )
    cached = vectors.select(keys[np.isin(keys, vectors.keys)])
    both = np.concatenate([cached.keys, new])
    rows = np.concatenate([cached.vectors[1:], model.encode_texts([strings[key] for key in new.tolist()])])
    order = np.argsort(both)
    return TextVectors(both[order], np.concatenate([cached.vectors[:1], rows[order]]), vectors.encoder)


def _cut(values: Mapping[str, Sequence[Any]], columns: Sequence[Column]) -> dict[str, list[Any]]:
    return {c.name: [own[: c.length] for own in values[c.name]] for c in columns if c.length and c.name in values}


def _day(user_id: str, cutoffs: Sequence[int]) -> date:
    days = [datetime.fromtimestamp(cutoff, UTC).date() for cutoff in cutoffs]
    if len(days) != 1:
        told = ", ".join(map(str, days))
        raise VersionsDisagree(f"the online features of user {user_id!r} are of one day, found {told or 'none'}.")
    return days[0]
