"""The only place where columns (feature_repo/contracts/inputs.py) become tensors.

Shape suffixes:
  B  users      E  behaviour events, newest first within each source      S  searches
  F  table columns      A  activity columns      W  windows, oldest first
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from feature_repo.contracts.events import BEHAVIOUR_SOURCES
from feature_repo.contracts.inputs import Column
from model.text_cache import TextTable
from model.vocabulary import ACTIVITY, NEVER, Vocabulary, is_age, never_as_missing

AGE_EDGES = np.array([1, 2, 3, 5, 9, 17, 33, 65, 129, 257, 513, 1025])
"""Ages in days fall into the buckets 0, 1, 2, 3-4, 5-8, ... so that most inputs survive a night unchanged."""
AGES = len(AGE_EDGES) + 1


@dataclass(frozen=True)
class UserBatch:
    """One batch of users. A text row of 0 is padding."""

    event_text_BE: Tensor
    event_age_BE: Tensor
    event_source_BE: Tensor
    event_amount_BE: Tensor
    event_window_BE: Tensor
    window_age_BW: Tensor
    is_window_BW: Tensor
    search_text_BS: Tensor
    search_age_BS: Tensor
    cells_BF: Tensor
    activity_BA: Tensor

    def __len__(self) -> int:
        return len(self.cells_BF)

    def to(self, device: torch.device) -> "UserBatch":
        return UserBatch(*(getattr(self, f.name).to(device) for f in fields(self)))

    @property
    def has_events_B(self) -> Tensor:
        return self.is_window_BW.any(1)

    @property
    def has_searches_B(self) -> Tensor:
        return (self.search_text_BS > 0).any(1)


@dataclass(frozen=True)
class View:
    """How much of the columns a model looks at: the behaviour sources it was trained on, and how many windows."""

    vocabulary: Vocabulary
    windows: int
    sources: tuple[str, ...]


def user_batch(columns: Mapping[str, "np.ndarray"], *, texts: TextTable, view: View, trim: bool) -> UserBatch:
    """The tensors of these users. `trim` cuts arrays to the longest user's length: faster, but then the low bits
    of a user's floats may depend on the batch mates."""
    cut = trimmed if trim else _as_is
    windows, vocabulary = view.windows, view.vocabulary
    events = cut(_events(columns, view.sources), "text")
    ordinal, window_age, is_window = day_windows(events["day"], columns["cutoff_day"], windows)
    searches = cut(_searches(columns), "text")
    return UserBatch(
        event_text_BE=torch.from_numpy(texts.rows(events["text"])),
        event_age_BE=torch.from_numpy(ages(columns["cutoff_day"], events["day"])),
        event_source_BE=torch.from_numpy(events["source"].astype(np.int64)),
        event_amount_BE=torch.from_numpy(log_scaled(events["amount"])),
        event_window_BE=torch.from_numpy(ordinal),
        window_age_BW=torch.from_numpy(window_age),
        is_window_BW=torch.from_numpy(is_window),
        search_text_BS=torch.from_numpy(texts.rows(searches["text"])),
        search_age_BS=torch.from_numpy(ages(columns["cutoff_day"], searches["day"])),
        cells_BF=torch.from_numpy(vocabulary.ids(columns)),
        activity_BA=torch.from_numpy(activity(columns, vocabulary.activity)),
    )


def text_keys(columns: Mapping[str, "np.ndarray"], view: View) -> "np.ndarray":
    """int64 [N]: the distinct keys, ascending, of the texts of these users' histories that `user_batch` looks up."""
    keys = np.unique(np.concatenate([_events(columns, view.sources)["text"], _searches(columns)["text"]], axis=1))
    return keys[keys != 0]


def nobody(columns: Sequence[Column]) -> dict[str, "np.ndarray"]:
    """The columns of one user of whom nothing is known."""
    empty = {c.name: np.zeros((1,) if c.length is None else (1, c.length), c.kind) for c in columns}
    empty["profile_numbers"][:] = np.nan
    for name in ACTIVITY:
        empty[name][:] = NEVER if is_age(name) else 0
    return empty


def input_hashes(columns: Mapping[str, "np.ndarray"], view: View) -> list[str]:
    """One hash per user of all that the model sees of them; equal hashes mean equal embeddings."""
    events, searches = _events(columns, view.sources), _searches(columns)
    ordinal, window_age, _ = day_windows(events["day"], columns["cutoff_day"], view.windows)
    seen = [
        events["text"],
        ages(columns["cutoff_day"], events["day"]),
        ordinal,
        window_age,
        log_scaled(events["amount"]).view(np.int32).astype(np.int64),
        searches["text"],
        ages(columns["cutoff_day"], searches["day"]),
        view.vocabulary.ids(columns),
        activity(columns, view.vocabulary.activity).view(np.int32).astype(np.int64),
    ]
    rows = np.ascontiguousarray(np.concatenate(seen, axis=1))
    return [hashlib.md5(row.tobytes(), usedforsecurity=False).hexdigest()[:16] for row in rows]


def ages(cutoff_day: "np.ndarray", day: "np.ndarray") -> "np.ndarray":
    """int64 [B, n]: the log bucket of each age; padding (day 0) falls into the last."""
    return np.digitize(cutoff_day[:, None] - day - 1, AGE_EDGES)


def log_scaled(values: "np.ndarray") -> "np.ndarray":
    """float32: sign(v) log(1 + |v|), rounded to quarters."""
    scaled = np.sign(values) * np.log1p(np.abs(values))
    return (np.round(scaled * 4) / 4).astype(np.float32)


def activity(columns: Mapping[str, "np.ndarray"], names: Sequence[str]) -> "np.ndarray":
    """float32 [B, A]: these activity columns, log-scaled; what never happened is -1."""
    values = np.stack([never_as_missing(name, columns[name]) for name in names], axis=1)
    return np.where(np.isfinite(values), log_scaled(np.nan_to_num(values)), np.float32(-1)).astype(np.float32)


def day_windows(
    day: "np.ndarray", cutoff_day: "np.ndarray", windows: int
) -> tuple["np.ndarray", "np.ndarray", "np.ndarray"]:
    """The user's active days as windows, oldest first (the time windows of equation 6).

    Returns the window of each event int64 [B, E], the age bucket of each window int64 [B, W] and which
    windows exist bool [B, W]. Days older than the newest `windows` share the oldest window. W is `windows`.
    """
    real = day > 0
    order = np.argsort(-day, axis=1, kind="stable")
    sorted_day = np.take_along_axis(day, order, axis=1)
    is_new = np.concatenate([np.zeros((len(day), 1), bool), sorted_day[:, 1:] != sorted_day[:, :-1]], axis=1)
    rank = np.minimum(np.cumsum(is_new, axis=1), windows - 1)
    from_newest = np.zeros_like(rank)
    np.put_along_axis(from_newest, order, rank, axis=1)
    count = np.where(real.any(1), np.where(real, from_newest, -1).max(1) + 1, 0)
    ordinal = np.where(real, count[:, None] - 1 - from_newest, 0)
    newest_day = np.zeros((len(day), windows), day.dtype)
    rows = np.broadcast_to(np.arange(len(day))[:, None], day.shape)
    np.maximum.at(newest_day, (rows[real], ordinal[real]), day[real])
    is_window = np.arange(windows)[None] < count[:, None]
    return ordinal, np.where(is_window, ages(cutoff_day, newest_day), 0), is_window


def trimmed(arrays: dict[str, "np.ndarray"], by: str) -> dict[str, "np.ndarray"]:
    """The arrays [B, n] without the slots that are padding (0 in `by`) for everyone; at least one stays."""
    used = (arrays[by] != 0).any(0)
    used[0] |= not used.any()
    return {name: np.ascontiguousarray(values[:, used]) for name, values in arrays.items()}


def _as_is(arrays: dict[str, "np.ndarray"], by: str) -> dict[str, "np.ndarray"]:
    del by
    return arrays


def _events(columns: Mapping[str, "np.ndarray"], sources: Sequence[str]) -> dict[str, "np.ndarray"]:
    """The behaviour sources side by side on one time line; one empty slot where a model knows none."""
    users = len(columns["cutoff_day"])
    parts = [_source(columns, source) for source in sources] or [_nothing(users)]
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


def _source(columns: Mapping[str, "np.ndarray"], source: str) -> dict[str, "np.ndarray"]:
    text = _real(columns, source, "text")
    has_amount = f"{source}_amount" in columns
    return {
        "text": text,
        "day": _real(columns, source, "day"),
        "amount": _real(columns, source, "amount") if has_amount else np.zeros(text.shape, np.float32),
        "source": np.full(text.shape, BEHAVIOUR_SOURCES.index(source), np.int64),
    }


def _nothing(users: int) -> dict[str, "np.ndarray"]:
    kinds = {"text": np.int64, "day": np.int32, "amount": np.float32, "source": np.int64}
    return {name: np.zeros((users, 1), kind) for name, kind in kinds.items()}


def _searches(columns: Mapping[str, "np.ndarray"]) -> dict[str, "np.ndarray"]:
    return {"text": _real(columns, "searches", "text"), "day": _real(columns, "searches", "day")}


def _real(columns: Mapping[str, "np.ndarray"], source: str, what: str) -> "np.ndarray":
    values = columns[f"{source}_{what}"]
    return np.where(np.arange(values.shape[1])[None] < columns[f"{source}_length"][:, None], values, 0)
