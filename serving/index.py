"""The user index: one Milvus collection per model version, served through one alias.

A collection carries its publication as properties (`found_ds`, `found_model_version`, ...): they live and
move with the collection, so that one alias swap changes vectors, day and model at once. A row's `ds` is
the day whose input gave its vector; the collection's `found_ds` is the day that ALL its rows stand for,
because a user whose input did not change keeps the vector. `bucket` is a hash of the user id: ranges
of it page through any collection, and the users of a range are a random sample. What filters ask (`found_columns`) lies
in fields of its own (serving/facts.py).

Scores are inner products in float64, recomputed from the stored vectors; equal ones are ordered by user_id.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import numpy as np
from pymilvus import MilvusClient

from feature_repo.contracts.names import ALIAS, collection
from feature_repo.contracts.settings import Settings
from model.scores import inner_products
from serving.errors import AudienceTooLarge, IndexMissing, PublicationRefused
from serving.expressions import EVERYBODY, Expression, among, any_of, expression
from serving.milvus import Milvus, batches
from serving.rows import BUCKETS, Hit, Publication, Row, Vector, bucket_of, described, schema
from serving.telemetry.stages import stage

MOST_USERS = 16_384
"""A Milvus server returns no more from one search or query."""
TIE_MARGIN = 64
"""Fetched beyond k, so that users tied at the end are chosen by id and not by the engine."""
SEARCH = {"metric_type": "IP"}
_PAGE = 4_000
_BATCH = 1_000
_POLL_SECONDS = 0.5
_LOOKUP_SECONDS = 5
"""Every question asks what the alias names: a server that hangs must not hold them all."""
_ANSWER_SECONDS = 30
"""A search or a page of rows takes a second of a large index; beyond this the server is taken to hang."""
_PREFIX = collection("")


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

    @property
    def milvus(self) -> Milvus:
        """The engine behind the index."""
        return self._milvus

    def collections(self) -> list[str]:
        with self._milvus.client() as client:
            return sorted(c for c in client.list_collections() if c.startswith(_PREFIX))

    def published(self) -> Publication | None:
        """What the alias names; None before the first publication."""
        with self._milvus.client() as client:
            if not client.has_collection(ALIAS, timeout=_LOOKUP_SECONDS):
                return None
            # by the alias' name: older servers look for an alias in the default database alone
            found = client.describe_collection(ALIAS, timeout=_LOOKUP_SECONDS)
            return described(found["collection_name"], found)

    def describe(self, name: str) -> Publication:
        with self._milvus.client() as client:
            return described(name, client.describe_collection(name))

    def holds_facts(self, name: str) -> bool:
        """Was the collection made for rows with facts?"""
        with self._milvus.client() as client:
            return any(field["name"] == "facts_hash" for field in client.describe_collection(name)["fields"])

    def create(self, publication: Publication) -> None:
        """An empty, loaded collection, searched by an exact scan (docs/experiments.md, "The index")."""
        index = MilvusClient.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="IP")
        with self._milvus.client() as client:
            client.create_collection(
                publication.collection,
                schema=schema(publication.dimension, publication.columns),
                index_params=index,
                properties=publication.properties(),
                consistency_level="Session",
            )

    def stamp(self, name: str, *, ds: str = "", previous: str = "", written: str = "") -> None:
        """Writes the day that the collection now stands for, the collection that it replaced, or which writing its rows
        are of: a server then reads them anew."""
        given = {"found_ds": ds, "found_previous": previous, "found_written": written}
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

    def reload(self, name: str) -> None:
        """Another collection has this name now."""
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
            entities = [row.entity() for row in batch]
            if not self._milvus.holds_unknown:
                _refuse_unknown(entities)
            with self._milvus.client() as client:
                client.upsert(name, entities)
            written += len(batch)
        return written

    def delete(self, name: str, user_ids: Iterable[str]) -> int:
        deleted = 0
        for batch in batches(user_ids, _BATCH):
            with self._milvus.client() as client:
                client.delete(name, **self._milvus.filtered(among(batch)))
            deleted += len(batch)
        return deleted

    def count(self, name: str, condition: Expression = EVERYBODY) -> int:
        """How many users meet the condition."""
        given = self._milvus.filtered(condition)
        with self._reading(name) as client:
            found = client.query(
                name, **given, output_fields=["count(*)"], consistency_level="Strong", timeout=_ANSWER_SECONDS
            )
        return int(found[0]["count(*)"])

    def hashes(self, name: str) -> dict[str, tuple[str, str]]:
        """The stored hashes of every user's input and facts, in pages that stay below what Milvus returns at once."""
        hashes: dict[str, tuple[str, str]] = {}
        for page in self.pages(name, _PAGE):
            for row in self.read(name, page, ["user_id", "input_hash", "facts_hash"]):
                hashes[row["user_id"]] = row["input_hash"], row["facts_hash"]
        return hashes

    def pages(self, name: str, size: int) -> list[Expression]:
        """Conditions that each hold for about `size` rows, and together once for every row."""
        pages = max(1, self.count(name) // size)
        bounds = [BUCKETS * page // pages for page in range(pages + 1)]
        return [_buckets(low, high) for low, high in pairwise(bounds)]

    def vectors(self, name: str, user_ids: Sequence[str]) -> dict[str, Vector]:
        """The vectors of those users that the collection holds."""
        found: dict[str, Vector] = {}
        for batch in batches(user_ids, _BATCH):
            for row in self.read(name, among(batch), ["user_id", "vector"]):
                found[row["user_id"]] = np.asarray(row["vector"], dtype=np.float32)
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

    @stage("search")
    def nearest(self, name: str, vector: Vector, k: int, condition: Expression = EVERYBODY) -> list[str]:
        """The k users of the highest inner product of those who meet the condition, and some of the next: so many that
        users tied at the end can be chosen by id and not by the engine. Fewer where fewer do."""
        if k > MOST_USERS:
            raise AudienceTooLarge(f"an audience holds at most {MOST_USERS} users, asked for {k}.")
        fetched = min(MOST_USERS, k + TIE_MARGIN)
        with self._reading(name) as client:
            found = client.search(
                name,
                [vector.tolist()],
                limit=fetched,
                search_params=SEARCH,
                timeout=_ANSWER_SECONDS,
                **self._milvus.filtered(condition),
            )
        return list(found[0].ids)

    def search(self, name: str, vector: Vector, k: int, condition: Expression = EVERYBODY) -> list[Hit]:
        """The k users of the highest inner product of those who meet the condition, best first, ties by user_id; fewer
        where fewer do."""
        stored = self.vectors(name, self.nearest(name, vector, k, condition))
        if not stored:
            return []
        scores = inner_products(np.stack(list(stored.values())), vector).tolist()
        hits = [Hit(user, score) for user, score in zip(stored, scores, strict=True)]
        return sorted(hits, key=lambda hit: (-hit.score, hit.user_id))[:k]

    def _users_from(self, name: str, start: int, width: int) -> list[str]:
        """The users of `width` buckets from `start` on (around the end), in bucket order."""
        end = start + width
        wrapped = [_buckets(0, end - BUCKETS)] if end > BUCKETS else []
        rows = self.read(name, any_of([_buckets(start, end), *wrapped]), ["user_id", "bucket"])
        return [r["user_id"] for r in sorted(rows, key=lambda r: ((int(r["bucket"]) - start) % BUCKETS, r["user_id"]))]

    @contextmanager
    def _reading(self, name: str) -> Iterator[MilvusClient]:
        """The client with the collection loaded: after a restart, Milvus Lite has released it."""
        with self._milvus.client() as client:
            if name not in self._loaded:
                client.load_collection(name)
                self._loaded.add(name)
            yield client

    def read(self, name: str, condition: Expression, columns: list[str]) -> list[Mapping[str, Any]]:
        """These columns of the rows that meet the condition, MOST_USERS at most."""
        given = self._milvus.filtered(condition)
        with self._reading(name) as client:
            asked = {"output_fields": columns, "limit": MOST_USERS, "timeout": _ANSWER_SECONDS}
            return list(client.query(name, **given, **asked))


def _buckets(low: int, high: int) -> Expression:
    return expression("bucket >= {v0} and bucket < {v1}", low, high)


def _refuse_unknown(entities: Iterable[Mapping[str, Any]]) -> None:
    for entity in entities:
        if any(value is None for value in entity.values()):
            raise PublicationRefused(
                f"user {entity['user_id']!r} has columns of unknown value, which a Milvus server before 2.5 cannot "
                "hold: use a server from 2.5 on, or Milvus Lite."
            )


def open_index(settings: Settings) -> UserIndex:
    """The index of these settings: a server by `milvus_uri`, else Milvus Lite in the work directory.

    Raises IndexMissing where that is not there: a path that was mistyped shall not become one.
    """
    if not settings.milvus_uri and not settings.work.root.is_dir():
        raise IndexMissing(f"there is no work directory {settings.work.root}.")
    uri = settings.milvus_uri or str(settings.work.milvus_lite)
    return UserIndex(Milvus(uri, token=settings.milvus_token, database=settings.milvus_database))
