"""The user index: one Milvus collection per model version, served through one alias.

A collection carries its publication as properties (`found_ds`, `found_model_version`, ...): they live and
move with the collection, so that one alias swap changes vectors, day and model at once. A row's `ds` is
the day whose input gave its vector; the collection's `found_ds` is the day that ALL its rows stand for,
because a user whose input did not change keeps the vector. `bucket` is a hash of the user id: ranges
of it page through any collection, and the users of a range are a random sample.

Scores are inner products in float64, recomputed from the stored vectors; equal ones are ordered by user_id.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pymilvus import DataType, MilvusClient

from feature_repo.contracts.names import ALIAS, collection
from feature_repo.contracts.settings import Settings
from model.scores import inner_products
from serving.errors import AudienceTooLarge
from serving.milvus import Milvus, among, batches

MOST_USERS = 16_384
"""A Milvus server returns no more from one search or query."""
TIE_MARGIN = 64
"""Fetched beyond k, so that users tied at the end are chosen by id and not by the engine."""
LONGEST_ID = 256
MOST_TEXTS = 4_096
"""A Milvus array holds no more."""
BUCKETS = 1 << 20
_PAGE = 4_000
_BATCH = 1_000
_POLL_SECONDS = 0.5
_PREFIX = collection("")

Vector = NDArray[np.float32]
WeightedTexts = tuple[NDArray[np.int64], NDArray[np.float32]]
"""The keys and the weights of a user's texts."""


@dataclass(frozen=True)
class Row:
    """One user as the index holds it; the weighted texts are what re-ranking asks for."""

    user_id: str
    vector: Vector
    texts: WeightedTexts
    ds: str
    input_hash: str

    def entity(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "vector": self.vector,
            "text_keys": self.texts[0].tolist(),
            "text_weights": self.texts[1].tolist(),
            "ds": self.ds,
            "input_hash": self.input_hash,
            "bucket": bucket_of(self.user_id),
        }


@dataclass(frozen=True)
class Hit:
    user_id: str
    score: float


@dataclass(frozen=True)
class Publication:
    """What a collection holds. `previous` is the collection that the alias named before it, or ''."""

    collection: str
    dimension: int
    model_version: str
    template_version: int
    ds: str = ""
    previous: str = ""


def bucket_of(user_id: str) -> int:
    return int.from_bytes(hashlib.md5(user_id.encode(), usedforsecurity=False).digest()[:4], "big") % BUCKETS


class UserIndex:
    """A Milvus server, or one Milvus Lite file of which this process is the only owner; thread-safe."""

    def __init__(self, milvus: Milvus) -> None:
        self._milvus = milvus
        self._loaded: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._milvus.close()

    def collections(self) -> list[str]:
        with self._milvus.client() as client:
            return sorted(c for c in client.list_collections() if c.startswith(_PREFIX))

    def published(self) -> Publication | None:
        """What the alias names; None before the first publication."""
        with self._milvus.client() as client:
            if not client.has_collection(ALIAS):
                return None
            return self.describe(client.describe_alias(ALIAS)["collection_name"])

    def describe(self, name: str) -> Publication:
        with self._milvus.client() as client:
            found = client.describe_collection(name)
        stored = {str(k): str(v) for k, v in dict(found.get("properties") or {}).items()}
        vector = next(f for f in found["fields"] if f["name"] == "vector")
        return Publication(
            collection=name,
            dimension=int(vector["params"]["dim"]),
            model_version=stored.get("found_model_version", ""),
            template_version=int(stored.get("found_template_version", 0)),
            ds=stored.get("found_ds", ""),
            previous=stored.get("found_previous", ""),
        )

    def create(self, publication: Publication) -> None:
        """An empty, loaded collection, searched by an exact scan.

        HNSW (M 16, ef 1,128) found 34 % of the best 1,000 of 30,000 made-up users like real ones, 1 % behind a filter
        by 10 %: one run on Milvus 2.3.5, its cause not yet isolated (benchmarks/results). Collections made before keep
        their index until a new model replaces them.
        """
        index = MilvusClient.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="IP")
        properties = {
            "found_model_version": publication.model_version,
            "found_template_version": str(publication.template_version),
        }
        with self._milvus.client() as client:
            client.create_collection(
                publication.collection,
                schema=_schema(publication.dimension),
                index_params=index,
                properties=properties,
                consistency_level="Session",
            )

    def stamp(self, name: str, *, ds: str = "", previous: str = "") -> None:
        """Writes the day that the collection now stands for, or the collection that it replaced."""
        given = {"found_ds": ds, "found_previous": previous}
        with self._milvus.client() as client:
            client.alter_collection_properties(name, properties={k: v for k, v in given.items() if v})

    def settle(self, name: str) -> None:
        """Returns when a freshly filled collection is written and indexed."""
        with self._milvus.client() as client:
            client.flush(name)
            while not self._milvus.file and client.describe_index(name, "vector").get("pending_index_rows", 0):
                time.sleep(_POLL_SECONDS)

    def drop(self, name: str) -> None:
        with self._milvus.client() as client:
            client.drop_collection(name)
            self._loaded.discard(name)

    def point_alias(self, name: str) -> None:
        """The alias names `name` from now on: one atomic step, readers see the old or the new one."""
        with self._milvus.client() as client:
            if client.has_collection(ALIAS):
                client.alter_alias(name, ALIAS)
            else:
                client.create_alias(name, ALIAS)

    def upsert(self, name: str, rows: Iterable[Row]) -> int:
        """Writes the rows in batches; returns how many. No two rows may share a user."""
        written = 0
        for batch in batches(rows, _BATCH):
            with self._milvus.client() as client:
                client.upsert(name, [row.entity() for row in batch])
            written += len(batch)
        return written

    def delete(self, name: str, user_ids: Iterable[str]) -> int:
        deleted = 0
        for batch in batches(user_ids, _BATCH):
            with self._milvus.client() as client:
                client.delete(name, filter=among(batch))
            deleted += len(batch)
        return deleted

    def count(self, name: str) -> int:
        with self._reading(name) as client:
            found = client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")
        return int(found[0]["count(*)"])

    def input_hashes(self, name: str) -> dict[str, str]:
        """The stored input hash of every user, in pages that stay below what Milvus returns at once."""
        pages = max(1, self.count(name) // _PAGE)
        bounds = [BUCKETS * page // pages for page in range(pages + 1)]
        hashes: dict[str, str] = {}
        for low, high in pairwise(bounds):
            for row in self._query(name, f"bucket >= {low} and bucket < {high}", ["user_id", "input_hash"]):
                hashes[row["user_id"]] = row["input_hash"]
        return hashes

    def vectors(self, name: str, user_ids: Sequence[str]) -> dict[str, Vector]:
        """The vectors of those users that the collection holds."""
        found: dict[str, Vector] = {}
        for batch in batches(user_ids, _BATCH):
            for row in self._query(name, among(batch), ["user_id", "vector"]):
                found[row["user_id"]] = np.asarray(row["vector"], dtype=np.float32)
        return found

    def weighted_texts(self, name: str, user_ids: Sequence[str]) -> dict[str, WeightedTexts]:
        """The weighted texts of those users that the collection holds."""
        found: dict[str, WeightedTexts] = {}
        for batch in batches(user_ids, _BATCH):
            for row in self._query(name, among(batch), ["user_id", "text_keys", "text_weights"]):
                keys, weights = np.array(row["text_keys"], np.int64), np.array(row["text_weights"], np.float32)
                found[row["user_id"]] = keys, weights
        return found

    def sample(self, name: str, size: int, *, seed: int, without: Iterable[str] = ()) -> list[str]:
        """`size` random users (all, where there are fewer), the same for the same seed and contents."""
        excluded = set(without)
        wanted = size + len(excluded)
        start = bucket_of(f"sample {seed}")
        width = min(BUCKETS, 1 + 2 * BUCKETS * wanted // max(1, self.count(name)))
        while True:
            users = [u for u in self._users_from(name, start, width) if u not in excluded]
            if len(users) >= size or width == BUCKETS:
                return users[:size]
            width = min(BUCKETS, width * 4)

    def search(self, name: str, vector: Vector, k: int) -> list[Hit]:
        """The k users of the highest inner product, best first, ties by user_id; fewer where fewer are stored."""
        if k > MOST_USERS:
            raise AudienceTooLarge(f"an audience holds at most {MOST_USERS} users, asked for {k}.")
        fetched = min(MOST_USERS, k + TIE_MARGIN)
        parameters = self.search_parameters(fetched)
        with self._reading(name) as client:
            found = client.search(
                name, [vector.tolist()], limit=fetched, output_fields=["user_id"], search_params=parameters
            )
        users = [hit["entity"]["user_id"] for hit in found[0]]
        stored = self.vectors(name, users)
        if not stored:
            return []
        scores = inner_products(np.stack(list(stored.values())), vector).tolist()
        hits = [Hit(user, score) for user, score in zip(stored, scores, strict=True)]
        return sorted(hits, key=lambda hit: (-hit.score, hit.user_id))[:k]

    def search_parameters(self, fetched: int) -> dict[str, Any]:
        """How a search for so many users is done; its recall: benchmarks/ann_recall.py."""
        beam = {} if self._milvus.file else {"params": {"ef": fetched + TIE_MARGIN}}
        return {"metric_type": "IP", **beam}

    def _users_from(self, name: str, start: int, width: int) -> list[str]:
        """The users of `width` buckets from `start` on (around the end), in bucket order."""
        end = start + width
        inside = f"bucket >= {start} and bucket < {end}"
        wrapped = f"({inside}) or bucket < {end - BUCKETS}" if end > BUCKETS else inside
        rows = self._query(name, wrapped, ["user_id", "bucket"])
        return [r["user_id"] for r in sorted(rows, key=lambda r: ((int(r["bucket"]) - start) % BUCKETS, r["user_id"]))]

    @contextmanager
    def _reading(self, name: str) -> Iterator[MilvusClient]:
        """The client with the collection loaded: after a restart, Milvus Lite has released it."""
        with self._milvus.client() as client:
            if name not in self._loaded:
                client.load_collection(name)
                self._loaded.add(name)
            yield client

    def _query(self, name: str, condition: str, columns: list[str]) -> list[Mapping[str, Any]]:
        with self._reading(name) as client:
            return list(client.query(name, filter=condition, output_fields=columns, limit=MOST_USERS))


def _schema(dimension: int) -> Any:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("user_id", DataType.VARCHAR, max_length=LONGEST_ID, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    for field, kind in (("text_keys", DataType.INT64), ("text_weights", DataType.FLOAT)):
        schema.add_field(field, DataType.ARRAY, element_type=kind, max_capacity=MOST_TEXTS)
    schema.add_field("ds", DataType.VARCHAR, max_length=10)
    schema.add_field("input_hash", DataType.VARCHAR, max_length=64)
    schema.add_field("bucket", DataType.INT64)
    return schema


def open_index(settings: Settings) -> UserIndex:
    """The index of these settings: a server by `milvus_uri`, else Milvus Lite in the work directory."""
    return UserIndex(Milvus(settings.milvus_uri or str(settings.work.milvus_lite), token=settings.milvus_token))
