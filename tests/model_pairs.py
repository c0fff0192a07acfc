"""Tiny training pairs written directly in the format of build_pairs, and one tiny model trained on them.

A pytest plugin (see conftest.py); torch is imported by the fixtures alone.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.inputs import COUNT_DAYS, Column, Lengths, pair_columns
from feature_repo.contracts.names import SCHEMA_VERSION
from feature_repo.contracts.templates import EVENT_TEMPLATES, NOTHING, TEMPLATE_VERSION, text_key

if TYPE_CHECKING:
    from model.config import Recipe
    from model.found import FoundModel
    from model.text_cache import TextTable
    from model.text_encoder import TextEncoder
    from model.train import Job
    from model.vectors import Users

Columns = dict[str, np.ndarray]

LENGTHS = Lengths(events=16, searches=4, future=16)
WINDOWS = {"history_days": 365, "horizon_days": 30, "gap_days": 0}
CUTOFFS = (date(2022, 3, 1), date(2022, 6, 1), date(2022, 9, 1))
LATER = date(2023, 1, 1)
"""A cut-off that no training future reaches."""
TOPICS = ("garden", "coffee", "baby", "travel")
THINGS = ("chair", "cup", "blanket", "bag", "lamp")
WORDING = {"bills": "{} {}, goods", "clicks": "page of {} {}", "visits": "{} {} in shop", "searches": "buy {} {}"}
CATEGORIES = ("Rome", "Oslo", "gold", "silver")
COLUMNS = pair_columns(LENGTHS, categorical=2, numeric=1)


def texts_of(topic: str, source: str) -> list[str]:
    return [WORDING[source].format(topic, thing) for thing in THINGS]


def all_texts() -> list[str]:
    events = [text for topic in TOPICS for source in EVENT_SOURCES for text in texts_of(topic, source)]
    return [*events, *(t.summary for t in EVENT_TEMPLATES.values()), *CATEGORIES, NOTHING]


def padded(values: Any, column: Column) -> np.ndarray:
    array = np.zeros(column.length or 1, column.kind)
    array[: len(values)] = values
    return array


def pair(key: int, cutoff: date) -> dict[str, Any]:
    """One user at one cut-off: a habit that shows in every source and goes on in the future.

    Every 8th user has done nothing yet, every 5th never searches, every 6th has an empty future.
    """
    rng = np.random.default_rng([key, cutoff.toordinal()])
    topic, day = TOPICS[key % len(TOPICS)], (cutoff - date(1970, 1, 1)).days
    row: dict[str, Any] = {"user_key": key, "cutoff_day": day}
    for source in EVENT_SOURCES:
        silent = key % 8 == 0 or (source == "searches" and key % 5 == 0)
        row |= _history(rng, source, topic, day, count=0 if silent else int(rng.integers(3, 17)))
    spend = row.get("bills_amount", np.zeros(1)).sum()
    row |= {f"spend_{days}d": spend / 2 for days in COUNT_DAYS} | {"spend": spend}
    row["profile_categories"] = [text_key(CATEGORIES[key % 2]), text_key(CATEGORIES[2 + key % 3 // 2]) * (key % 7 > 0)]
    row["profile_numbers"] = [20.0 + key if key % 9 else np.nan]
    return row | _future(rng, topic, empty=key % 6 == 0)


def _history(rng: np.random.Generator, source: str, topic: str, day: int, *, count: int) -> dict[str, Any]:
    count = min(count, LENGTHS.searches if source == "searches" else LENGTHS.events)
    ages = np.sort(rng.integers(1, 300, count))
    keys = [text_key(str(text)) for text in rng.choice(texts_of(topic, source), count)]
    found: dict[str, Any] = {f"{source}_text": keys, f"{source}_day": day - ages, f"{source}_length": count}
    if source == "bills":
        found["bills_amount"] = rng.random(count).round(2) * 90
    found |= {f"{source}_count_{days}d": int((ages <= days).sum()) for days in COUNT_DAYS}
    found |= {f"{source}_count": count, f"{source}_active_days": len(set(ages.tolist()))}
    found |= {f"{source}_recency_days": ages[0] if count else -1, f"{source}_tenure_days": ages[-1] if count else -1}
    return found


def _future(rng: np.random.Generator, topic: str, *, empty: bool) -> dict[str, Any]:
    sources = rng.permutation(EVENT_SOURCES)[:2]
    sentences = {str(text) for source in sources for text in rng.choice(texts_of(topic, source), 3)}
    sentences |= {EVENT_TEMPLATES[source].summary for source in sources}
    keys = sorted(text_key(text) for text in ({NOTHING} if empty else sentences))
    return {"future_text": keys, "future_length": len(keys)}


def columns_of(rows: list[dict[str, Any]]) -> Columns:
    """The rows as the columns of `pair_columns`."""
    found = {}
    for column in COLUMNS:
        if column.length is None:
            found[column.name] = np.array([row[column.name] for row in rows], column.kind)
        else:
            found[column.name] = np.stack([padded(row[column.name], column) for row in rows])
    return found


def write_pairs(folder: Path, *, rows_per_file: tuple[int, ...] = (6,) * 16, fingerprint: str = "tiny") -> Path:
    """A dataset of pairs with one file per number of rows."""
    numbers = iter(range(1, 1 + sum(rows_per_file)))
    (folder / "pairs").mkdir(parents=True)
    (folder / "texts").mkdir()
    for place, count in enumerate(rows_per_file):
        chosen = [next(numbers) for _ in range(count)]
        columns = columns_of([pair(n, CUTOFFS[n % len(CUTOFFS)]) for n in chosen])
        arrays = {name: pa.array(values.tolist(), _arrow(name)) for name, values in columns.items()}
        pq.write_table(pa.table(arrays), folder / "pairs" / f"part-{place:05d}.parquet")
    texts = all_texts()
    keys = pa.array([text_key(text) for text in texts], pa.int64())
    pq.write_table(pa.table({"text_key": keys, "text": texts}), folder / "texts" / "part-00000.parquet")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "template_version": TEMPLATE_VERSION,
        "lake": "tiny",
        "currency": "EUR",
        "windows": WINDOWS,
        "cutoffs": [day.isoformat() for day in CUTOFFS],
        "rows": sum(rows_per_file),
        "files": len(rows_per_file),
        "lengths": vars(LENGTHS),
        "profile": {"categorical": ["city", "tier"], "numeric": ["age"]},
        "fingerprint": fingerprint,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _arrow(name: str) -> pa.DataType:
    column = next(c for c in COLUMNS if c.name == name)
    kind = pa.from_numpy_dtype(np.dtype(column.kind))
    return kind if column.length is None else pa.list_(kind)


def some_users(count: int = 24, *, cutoff: date = LATER, first: int = 1) -> Columns:
    """The columns of users at one cut-off."""
    return columns_of([pair(first + i, cutoff) for i in range(count)])


def shuffled(columns: Columns, *prefixes: str, seed: int = 0) -> Columns:
    """The columns with those that start with a prefix handed to other users: no user keeps their own."""
    count = len(columns["user_key"])
    order = np.roll(np.arange(count), 1 + seed)
    return {n: values[order] if n.startswith(prefixes) else values for n, values in columns.items()}


def demand_vectors(model: "FoundModel", demands: Sequence[str], day: date) -> np.ndarray:
    """[N, width]: what an index is asked with."""
    return np.stack([demand.vector for demand in model.read_demands(demands, day)])


def same_users(one: "Users", other: "Users") -> None:
    """Asserts the same vectors and the same weighted texts, bit by bit."""
    np.testing.assert_array_equal(one.vectors, other.vectors)
    for own, others in zip(one.texts, other.texts, strict=True):
        np.testing.assert_array_equal(own[0], others[0])
        np.testing.assert_array_equal(own[1], others[1])


def quiet(recipe: "Recipe") -> "Recipe":
    """The recipe without randomness in the towers."""
    return replace(recipe, dropout=0.0, source_dropout=0.0)


def stirred(encoder: "TextEncoder") -> None:
    """Moves the encoder's LoRA away from its start, where it changes nothing."""
    import torch

    from model.encoders import lora_of

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in lora_of(encoder):
            parameter.copy_(0.03 * torch.randn(parameter.shape, generator=generator))


def with_tuned_events(model: "FoundModel") -> "FoundModel":
    """The same model with an event encoder of its own, whose LoRA is not that of the start."""
    from model.found import FoundModel

    recipe = replace(model.recipe, tune_events=True)
    tuned = FoundModel(recipe, model.vocabulary, model.text.space, metadata=model.metadata)
    tuned.load_state_dict(model.own_state(), strict=False)
    stirred(tuned.encoder)
    return tuned.eval()


def make_job(
    folder: Path, pairs: Path, *, recipe: "Recipe", encoder: "TextEncoder", cache: Path, seed: int = 0
) -> "Job":
    """What `model.train` makes of its arguments."""
    from model.data import open_pairs
    from model.distributed import Ranks
    from model.text_cache import CachedEncoder
    from model.train import Job

    return Job(open_pairs(pairs), recipe, CachedEncoder(cache, encoder), folder, seed, Ranks())


@pytest.fixture(scope="session")
def tiny_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 pairs in 16 files; read-only."""
    return write_pairs(tmp_path_factory.mktemp("pairs") / "tiny")


@pytest.fixture(scope="session")
def encoder() -> "TextEncoder":
    """The packaged sentence encoder."""
    from model.recipes import tiny
    from model.text_encoder import TextEncoder

    return TextEncoder(tiny().encoder, max_tokens=tiny().max_tokens)


@pytest.fixture(scope="session")
def text_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of cached encodings for all tests."""
    return tmp_path_factory.mktemp("text_cache")


@pytest.fixture(scope="session")
def trained_folder(
    tiny_pairs: Path, encoder: "TextEncoder", text_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Both stages of the tiny recipe, as model.train leaves them; read-only."""
    from model.recipes import tiny
    from model.train import stage1, stage2

    folder = tmp_path_factory.mktemp("models")
    job = make_job(folder, tiny_pairs, recipe=tiny(), encoder=encoder, cache=text_cache)
    stage1(job)
    stage2(job)
    yield folder


@pytest.fixture(scope="session")
def trained(trained_folder: Path) -> "FoundModel":
    """The tiny model; tests do not change it."""
    from model import pointers
    from model.found import FoundModel

    return FoundModel.from_pretrained(pointers.current(trained_folder, missing=""))


@pytest.fixture(scope="session")
def calibrated_folder(
    trained_folder: Path, tiny_pairs: Path, text_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tiny model with its calibration; read-only."""
    from model import pointers
    from model.calibration.learn import calibrate
    from model.data import open_pairs

    model = pointers.current(trained_folder, missing="")
    folder = shutil.copytree(model, tmp_path_factory.mktemp("calibrated") / model.name)
    calibrate(folder, open_pairs(tiny_pairs), text_cache)
    return folder


@pytest.fixture(scope="session")
def texts(encoder: "TextEncoder", text_cache: Path) -> "TextTable":
    """The vectors of all tiny texts."""
    from model.text_cache import CachedEncoder

    strings = all_texts()
    keys = np.array([text_key(text) for text in strings], np.int64)
    return CachedEncoder(text_cache, encoder).table(keys, strings)
