"""What a model's side keeps of one user beside rows: vectors of texts in the cache, and past users of a calibration.

Shape suffixes: N past users, B rows of the user, M width of a vector, V texts, U units.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock

from feature_repo.contracts.templates import text_key
from model.calibration.past import CONFIG, WEIGHTS, Past
from model.calibration.units import Units
from model.data import Columns, Pairs, read_file_pyarrow, rows_of
from model.found import FoundModel
from model.rewriting.words import LakeWords, compounds_of
from model.text_cache import TextCache, TextTable, read_table
from model.vectors import Users

CLOSE = 1e-4
"""A vector computed again differs by rounding alone; two users differ by more, or in nothing that a model sees."""


def forget_texts(cache: Path, keys: "np.ndarray") -> int:
    """Takes the vectors of these texts out of a text cache, every encoder's; returns how many there were."""
    return sum(_forget_texts(path.parent, keys) for path in sorted(cache.glob("*/CURRENT")))


def _forget_texts(folder: Path, keys: "np.ndarray") -> int:
    with FileLock(folder / ".lock"):
        table = read_table(folder)
        kept = ~np.isin(table.keys, keys)
        if kept.all():
            return 0
        cache = TextCache(folder.parent, folder.name, width=table.vectors.shape[1])
        cache._publish(table.keys[kept], table.vectors[np.append(True, kept)])
        return int((~kept).sum())


def drop_calibration(folder: Path) -> None:
    """The model in this folder has no calibration from now on."""
    for name in (CONFIG, WEIGHTS):
        (folder / name).unlink(missing_ok=True)


def forget_past_user(folder: Path, pairs: Pairs, cache: Path, *, user_key: int, texts: "np.ndarray") -> int | None:
    """Takes a user out of the calibration of the model in `folder`, and what only that user's rows told: returns how
    many past users went, None where too few would be left.

    Past users carry no id. The user's rows of the pairs that the model was trained on are embedded again, and whoever
    has one of these vectors goes: that user, or one whom no input tells apart. `texts` are the keys of texts that only
    that user has.
    """
    model = FoundModel.from_pretrained(folder)
    past, rows = Past.load(folder, model=model.version), _rows_of(pairs, user_key)
    if past is None or not len(rows["user_key"]):
        return 0
    model.cache_texts(cache, *pairs.texts())
    vector_BM = model.embed(rows, model.text_vectors(cache)).vectors
    gone_N = np.zeros(len(past.users.vectors), bool)
    for vector_M in vector_BM:
        gone_N |= np.isclose(past.users.vectors, vector_M, rtol=CLOSE, atol=CLOSE).all(1)
    if gone_N.all():
        return None
    words = _words_without(past.words, pairs, texts)
    replace(without(past, gone_N), words=words).save(folder, model=model.version)
    return int(gone_N.sum())


def _rows_of(pairs: Pairs, user_key: int) -> Columns:
    parts: list[Columns] = []
    for path in pairs.files:
        rows = read_file_pyarrow(path)
        parts.append(rows_of(rows, rows["user_key"] == user_key))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def without(past: Past, gone_N: "np.ndarray") -> Past:
    """The past without some users; texts and units go that no other user's rows have."""
    kept = np.flatnonzero(~gone_N)
    users = Users(past.users.vectors[kept], [past.users.texts[row] for row in kept])
    known = past.known.select(np.concatenate([np.zeros(0, np.int64), *(keys for keys, _ in users.texts)]))
    future_NF = past.future_NF[kept]
    told_V = np.unique(future_NF[future_NF >= 0])
    strings = tuple(past.texts[place] for place in told_V)
    unit_U = np.unique(Units.of(strings, past.units).of_K)
    return replace(
        past,
        users=users,
        known=TextTable(known.keys, known.vectors, past.known.encoder),
        future_NF=np.where(future_NF < 0, -1, np.searchsorted(told_V, future_NF)).astype(np.int32),
        texts=strings,
        is_event_V=past.is_event_V[told_V],
        source_VS=past.source_VS[told_V],
        text_VE=past.text_VE[told_V],
        units=tuple(past.units[unit] for unit in unit_U),
        unit_UE=past.unit_UE[unit_U],
    )


def _words_without(words: LakeWords, pairs: Pairs, texts: "np.ndarray") -> LakeWords:
    """The lake's words without categories and compounds that are only in these texts."""
    ours = set(texts.tolist())
    categories = {
        name: tuple(value for value in values if text_key(value) not in ours)
        for name, values in words.categories.items()
    }
    told = list(zip(*pairs.texts(), strict=True))
    own = compounds_of(text for key, text in told if key in ours)
    others = compounds_of(text for key, text in told if key not in ours)
    return replace(words, categories=categories, compounds=words.compounds - (own - others))
