"""One user out of every Milvus collection, and out of the files behind them.

A server compacts on demand, which rewrites the segments that held the user; its own garbage collection then removes the
old files. Milvus Lite keeps the id of whoever was deleted in its files, and compacts when it likes. There, a collection
whose files hold the user is copied without that user and takes the old one's place and alias, in one turn of the lock.
"""

import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pymilvus import MilvusClient

from feature_repo.contracts.names import ALIAS
from serving.erasure.person import Person
from serving.erasure.search import holding
from serving.errors import IndexUnreachable, PublicationRefused
from serving.expressions import among
from serving.index import UserIndex
from serving.rows import UNASKABLE

DRAFT = "erasing_"
"""Begins the name of a copy; no published collection is called so."""
_ROWS = 500
_POLL_SECONDS = 0.5
_COMPACTION_SECONDS = 3_600.0


@dataclass(frozen=True)
class FromIndex:
    """How many rows went, and what was done about their files."""

    rows: int
    compacted: str


def forget(index: UserIndex, person: Person) -> FromIndex:
    """Afterwards no collection answers with the user, be it in service, kept for a rollback or half-built."""
    _finish_copies(index)
    rows = sum(_held(index, name, person) for name in index.collections())
    if index.milvus.file:
        return FromIndex(rows, _copy_without(index, index.milvus.file, person))
    for name in index.collections():
        if not UNASKABLE.search(person.user_id):
            index.delete(name, [person.user_id])
            index.stamp(name, written=uuid.uuid4().hex)  # a server that holds the rows in memory reads them anew
            _compact(index, name)
    return FromIndex(rows, "compacted by the Milvus server; its garbage collection removes the old files")


def _held(index: UserIndex, name: str, person: Person) -> int:
    """1 where the collection has the user. Of an id that no expression can spell, no collection has a row."""
    return 0 if UNASKABLE.search(person.user_id) else index.count(name, among([person.user_id]))


def _compact(index: UserIndex, name: str) -> None:
    """Returns when the segments are rewritten."""
    with index.milvus.client() as client:
        client.flush(name)
        job = client.compact(name)
        until = time.monotonic() + _COMPACTION_SECONDS
        while client.get_compaction_state(job) != "Completed":
            if time.monotonic() > until:
                raise IndexUnreachable(f"Milvus has not compacted {name} within {_COMPACTION_SECONDS:.0f} seconds.")
            time.sleep(_POLL_SECONDS)


def _copy_without(index: UserIndex, folder: Path, person: Person) -> str:
    names = index.collections()
    for name in names:
        index.settle(name)
    files = [path.relative_to(folder) for path in holding(person, folder)]
    concerned = [name for name in names if any(name in path.parts for path in files)]
    for name in concerned:
        _copy(index, name, person)
    return f"written anew without the user: {', '.join(concerned)}" if concerned else "nothing to compact"


def _copy(index: UserIndex, name: str, person: Person) -> None:
    """Page by page, so that questions are answered in between."""
    draft, published = DRAFT + name, index.describe(name)
    index.create(replace(published, collection=draft))
    index.stamp(draft, ds=published.ds, previous=published.previous, written=published.written)
    with index.milvus.client() as client:
        fields = [field["name"] for field in client.describe_collection(name)["fields"]]
    for page in index.pages(name, _ROWS):
        rows = [{field: _plain(row[field]) for field in fields} for row in index.read(name, page, fields)]
        kept = [row for row in rows if row["user_id"] != person.user_id]
        with index.milvus.client() as client:
            if kept:
                client.upsert(draft, kept)
    index.settle(draft)
    _refuse_lost(index, name, draft, person)
    with index.milvus.client() as client:
        _take_place(index, client, name)


def _refuse_lost(index: UserIndex, name: str, draft: str, person: Person) -> None:
    expected, found = index.count(name) - _held(index, name, person), index.count(draft)
    if found != expected:
        raise PublicationRefused(f"the copy of {name} must hold {expected} users, Milvus counts {found}.")


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float) else list(value)


def _take_place(index: UserIndex, client: MilvusClient, name: str) -> None:
    """The copy gets the name and the alias of the collection, which goes. The next run ends what is killed in here."""
    if _target(client) == name:
        client.alter_alias(DRAFT + name, ALIAS)
    if client.has_collection(name):
        index.drop(name)
    client.rename_collection(DRAFT + name, name)
    index.reload(name)


def _finish_copies(index: UserIndex) -> None:
    """A killed run left a copy: one that the alias names is whole and takes its place, any other is thrown away."""
    with index.milvus.client() as client:
        for draft in [each for each in client.list_collections() if each.startswith(DRAFT)]:
            name = draft.removeprefix(DRAFT)
            if _target(client) == draft or not client.has_collection(name):
                _take_place(index, client, name)
            else:
                client.drop_collection(draft)


def _target(client: MilvusClient) -> str:
    return str(client.describe_alias(ALIAS)["collection_name"]) if client.has_collection(ALIAS) else ""
