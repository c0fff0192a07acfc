"""A small work directory as the steps leave it, and a model that is nothing but arithmetic."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.contracts.inputs import Lengths, activity_columns, history_columns, search_columns
from feature_repo.contracts.names import Workdir
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import text_key
from feature_repo.store import materialize
from model.placed import Placed
from model.scores import Asked

WORDS = 16
DAY = date(2024, 6, 1)
LENGTHS = Lengths(events=4, searches=2)
KEYS, WEIGHTS = pa.list_(pa.int64()), pa.list_(pa.float32())
KINDS = ("categorical", "numeric")
TEXTS = ("picnic basket", "garden plant", "lunch bag", "cake stand")
KNOWN = (*TEXTS, "old thing")


def words_vector(text: str) -> np.ndarray:
    vector = np.full(WORDS, 1e-3, dtype=np.float32)
    for word in text.lower().split():
        vector[hashlib.md5(word.encode()).digest()[0] % WORDS] += 1.0
    return vector / np.linalg.norm(vector)


@dataclass
class Read:
    vector: np.ndarray
    spread: float | None = None
    late_weight: float = 1.0


@dataclass
class WordModel:
    """Texts are unit vectors of word counts; the propensity is at index 0, with a constant 1 in the query. Re-ranking
    adds log(1 + the sum of the texts' weights times cosines); a text that is none of TEXTS has the cosine 1."""

    version: str
    metadata = MappingProxyType({"currency": "EUR", "windows": {"horizon_days": 30}})
    recipe = SimpleNamespace(embedding=WORDS)  # no vector is a mean of texts

    @classmethod
    def load(cls, folder: Path) -> "WordModel":
        return cls((folder / "version").read_text())

    def encode_texts(self, texts):
        return np.stack([words_vector(t) for t in texts])

    def read_demands(self, demands, day):
        vectors = np.concatenate([np.ones((len(demands), 1), np.float32), self.encode_texts(demands)], axis=1)
        return [Read(vector) for vector in vectors]

    def text_vectors(self, cache):
        return None

    def hasten(self):
        pass

    def asked(self, demand, vectors, key_V):
        cosines = {text_key(text): max(0.0, float(words_vector(text) @ demand.vector[1:])) for text in KNOWN}
        near = np.array([cosines.get(key, 1.0) for key in key_V.tolist()])
        return Asked(demand.vector, key_V, near, np.ones(1), np.ones(1), late_weight=1.0, late_bias=0.0)

    def uncalibrated(self, demands, day):
        return self.read_demands(demands, day)

    def calibrated(self, demands, asked, day):
        return asked

    def known(self, vectors, keys):
        def asked(demand, place_N=None):
            return Placed.at(self.asked(demand, vectors, keys))

        def products(demand, place_N):
            return np.zeros(len(place_N), np.float32)

        known = SimpleNamespace(key_V=keys, asked=asked, nearly=asked, products=products)
        known.hold = lambda: known
        return known

    def rescore(self, scores, texts, vectors, demand):
        keys, weights = (np.concatenate([own[part] for own in texts]) for part in (0, 1))
        asked = self.asked(demand, vectors, np.unique(keys))
        return asked.rescored(np.asarray(scores), keys, weights, np.array([len(own) for own, _ in texts]))

    def probabilities(self, scores):
        return 1 / (1 + np.exp(-np.asarray(scores)))


def answer_by_difference(model, demand, day, positives, negatives, population, vectors):
    assert len(population[0]) == len(population[1]) > 0
    return Read((positives[0].mean(axis=0) - negatives[0].mean(axis=0)).astype(np.float32))


def user_name(at: int) -> str:
    return f"u{at:03d}"


def bought(count: int) -> dict[str, list[int]]:
    """What `write_features` says that users bought, by text key."""
    return {user_name(at): [text_key(TEXTS[at % len(TEXTS)]), text_key("old thing")] for at in range(count)}


def user_vector(at: int) -> np.ndarray:
    propensity = np.float32((at % 7) / 100)
    return np.concatenate([[propensity], words_vector(TEXTS[at % len(TEXTS)])]).astype(np.float32)


def write(path: Path, columns: dict) -> None:
    path.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path / "part-00000.parquet")


def write_embeddings(
    work: Workdir,
    ds: date,
    rows: dict[str, tuple[np.ndarray, str]],
    *,
    version: str = "v1",
    weights: Mapping[str, float] = MappingProxyType({}),
    texts: Mapping[str, list[int]] = MappingProxyType({}),
) -> None:
    """Each user's vector and hash; `weights` gives some users one text of that weight, `texts` some of weight 1
    each."""
    users = sorted(rows)
    write(
        work.partition("embedding", ds),
        {
            "user_id": users,
            "event_timestamp": [datetime(ds.year, ds.month, ds.day, tzinfo=UTC)] * len(users),
            "vector": pa.array([rows[u][0] for u in users], pa.list_(pa.float32())),
            "text_keys": pa.array([list(texts.get(u, [text_key("tea")] * (u in weights))) for u in users], KEYS),
            "text_weights": pa.array([weights_of(u, weights, texts) for u in users], WEIGHTS),
            "input_hash": [rows[u][1] for u in users],
            "model_version": [version] * len(users),
        },
    )
    (work.models / version).mkdir(parents=True, exist_ok=True)
    (work.models / version / "version").write_text(version)
    work.current_model.write_text(version)


def weights_of(user: str, weights: Mapping[str, float], texts: Mapping[str, list[int]]) -> list[float]:
    return [1.0] * len(texts.get(user, ())) or ([weights[user]] if user in weights else [])


def embedded(count: int) -> dict[str, tuple[np.ndarray, str]]:
    return {user_name(at): (user_vector(at), f"hash-{at}") for at in range(count)}


def write_profile(work: Workdir, ds: date, columns: Mapping[str, list]) -> None:
    """The profile of users 0 .. n - 1: texts are categories, numbers are numbers."""
    count = len(next(iter(columns.values())))
    keys = {"user_id": [user_name(at) for at in range(count)], "event_timestamp": [midnight(ds)] * count}
    is_text = {name: isinstance(next(v for v in values if v is not None), str) for name, values in columns.items()}
    types = {name: pa.string() if text else pa.float64() for name, text in is_text.items()}
    write(work.partition("profile", ds), keys | {n: pa.array(v, types[n]) for n, v in columns.items()})
    kinds = {kind: sorted(n for n, text in is_text.items() if text == (kind == "categorical")) for kind in KINDS}
    work.profile_schema.write_text(json.dumps(kinds))


def midnight(ds: date) -> datetime:
    return datetime(ds.year, ds.month, ds.day, tzinfo=UTC)


def write_features(
    settings: Settings, ds: date, count: int, *, activity: Mapping[str, list[float]] = MappingProxyType({})
) -> None:
    """User n bought text n % 4 yesterday, and `old thing` long ago; then everything goes online.

    Where there is a profile already, it stays. `activity` are columns of that view that are not all zero.
    """
    work, users = settings.work, [user_name(at) for at in range(count)]
    keys = {"user_id": users, "event_timestamp": [datetime(ds.year, ds.month, ds.day, tzinfo=UTC)] * count}
    types = {"int64": pa.int64(), "int32": pa.int32(), "float32": pa.float32()}

    def view(name, columns, filled):
        values = {}
        for column in columns:
            blank = [0] * column.length if column.length else 0
            kind = pa.list_(types[column.kind]) if column.length else types[column.kind]
            values[column.name] = pa.array(filled.get(column.name) or [blank] * count, kind)
        write(work.partition(name, ds), keys | values)

    filled = {
        "bills_text": [[*keys, 0, 0] for keys in bought(count).values()],
        "bills_day": [[19874, 19000, 0, 0]] * count,
        "bills_length": [2] * count,
    }
    view("history", history_columns(LENGTHS), filled)
    view("searches", search_columns(LENGTHS), {})
    view("activity", activity_columns(), activity)
    texts = sorted(KNOWN, key=text_key)
    write(work.partition("texts", ds), {"text_key": [text_key(t) for t in texts], "text": texts})
    if not work.profile_schema.exists():
        work.profile_schema.write_text(json.dumps({kind: [] for kind in KINDS}))
    materialize(settings, ds)
