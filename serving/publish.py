"""Publication of one day's embeddings into Milvus: `python -m serving.publish --ds D`.

A model version has one collection. Publishing a day brings that collection to the day's users - it upserts
the rows whose input hash differs from the stored one and deletes the users that are gone -, checks it, stamps
it with the day, and points the alias to it. The same model therefore costs only the night's change, and a new
model starts from an empty collection behind the alias of the old one. A killed run is repaired by the next.

A day that is unlike the one in service (serving/gates.py) is refused before anything is written, and one of the same
model that is older is left out, so that a backfill does not turn the index back.

Filters ask for columns of the day's profile and activity. A collection keeps the columns that it was made with, so one
that the lake gains is filtered by from the next model on.

Unchanged rows are not rewritten to carry the new day: Milvus up to 2.5 cannot update one field of a row, and a
nightly upsert of a million equal vectors is how a Milvus runs out of memory. The day is a property of the
collection, which a swap moves together with its vectors; after a publication the alias holds every user of the
day, and `found_ds` of its collection is the day.
"""

import argparse
import os
import sys
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import ALIAS, Workdir, collection
from feature_repo.contracts.publication import write_json
from feature_repo.contracts.settings import Settings, read_settings
from feature_repo.contracts.templates import TEMPLATE_VERSION
from feature_repo.contracts.turns import turn
from serving import running
from serving.embeddings import Embeddings, read_embeddings
from serving.errors import NothingToRollBack, PublicationRefused
from serving.facts import Column, lake_columns, read_facts
from serving.gates import refuse_suspicious
from serving.index import UserIndex, open_index
from serving.rows import Publication

CANARIES = 20
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Published:
    """What a publication did. `swapped_from` is the collection that the alias named before, if another."""

    collection: str
    model_version: str
    template_version: int
    ds: str
    users: int
    written: int
    deleted: int
    swapped_from: str = ""
    left_out: str = ""
    """The day that was asked for, where a newer one is in service."""

    def __str__(self) -> str:
        if self.left_out:
            return (
                f"{self.collection} holds {self.users} users as of {self.ds} already: {self.left_out} is older and was "
                "left out (--force publishes it)"
            )
        swap = f"; alias {ALIAS!r} moved from {self.swapped_from}" if self.swapped_from else ""
        return (
            f"{self.collection} holds {self.users} users as of {self.ds}: "
            f"{self.written} written, {self.deleted} deleted{swap}"
        )


def publish(
    index: UserIndex, work: Workdir, ds: date, *, denied: Collection[str] = (), force: bool = False
) -> Published:
    """Afterwards the alias names a collection of exactly the users of `ds`, checked and stamped with it.

    A user is written again whose input or whose facts changed. Denied columns are not stored: a new collection
    has none of them, an older one forgets their values. `force`
    publishes a day that is older than the one in service, or unlike it. Publications of a work directory take turns.
    Raises PublicationRefused, with the alias untouched, if the embeddings or the finished collection fail a check.
    """
    with turn(work.root / ".publishing.lock"):
        embeddings, current = read_embeddings(work, ds), index.published()
        if current and not force:
            if current.model_version == embeddings.model_version and ds < date.fromisoformat(current.ds):
                return _left_out(index, current, ds)
            refuse_suspicious(index, current, embeddings)
        return _published(index, work, ds, embeddings, current, denied)


def _left_out(index: UserIndex, current: Publication, ds: date) -> Published:
    users, versions = index.count(current.collection), (current.model_version, current.template_version)
    return Published(current.collection, *versions, current.ds, users, 0, 0, left_out=ds.isoformat())


def _published(
    index: UserIndex,
    work: Workdir,
    ds: date,
    embeddings: Embeddings,
    current: Publication | None,
    denied: Collection[str],
) -> Published:
    target = _collection_of(index, embeddings, lake_columns(work, ds, denied=denied))
    facts = read_facts(work, ds, target.columns, denied=denied)
    stored = index.hashes(target.collection)
    gone = [user for user in stored if user not in embeddings.input_hashes]
    deleted = index.delete(target.collection, gone)
    hashes = embeddings.input_hashes.items()
    changed = {user for user, found in hashes if stored.get(user) != (found, facts.hash_of(user))}
    written = index.upsert(target.collection, embeddings.rows(changed.__contains__, facts))
    in_service = current is not None and current.collection == target.collection
    if not in_service:
        index.settle(target.collection)
    try:
        _check(index, target, embeddings)
    except PublicationRefused as error:
        if not (in_service and current):
            raise
        raise PublicationRefused(
            f"{error.detail} Rows of {ds} are in service already: publish {current.ds} again with --force."
        ) from error
    swapped_from = _serve(index, target, ds, current, written=uuid.uuid4().hex if written or deleted else "")
    write_json(work.published, {"ds": ds.isoformat()})
    return Published(
        collection=target.collection,
        model_version=target.model_version,
        template_version=target.template_version,
        ds=ds.isoformat(),
        users=len(embeddings.input_hashes),
        written=written,
        deleted=deleted,
        swapped_from=swapped_from,
    )


def rollback(index: UserIndex, work: Workdir) -> Publication:
    """Points the alias, and the model in service, back to what they were before the last new model."""
    current = index.published()
    if current is None or current.previous not in index.collections():
        raise NothingToRollBack(
            f"no previous collection is kept beside {current.collection}." if current else "nothing was published yet."
        )
    previous = index.describe(current.previous)
    if not (work.models / previous.model_version).is_dir():
        raise NothingToRollBack(f"the model of {previous.collection} is gone: {work.models} has no such folder.")
    if previous.template_version != TEMPLATE_VERSION:
        raise NothingToRollBack(
            f"{previous.collection} was made with templates of version {previous.template_version}, this code has "
            f"{TEMPLATE_VERSION}."
        )
    _replace_text(work.current_model, previous.model_version)
    index.point_alias(previous.collection)
    write_json(work.published, {"ds": previous.ds})
    return previous


def _collection_of(index: UserIndex, embeddings: Embeddings, columns: tuple[Column, ...]) -> Publication:
    """The collection of the embeddings' model, made with these columns if there is none."""
    name = collection(embeddings.model_version)
    if name in index.collections():
        found = index.describe(name)
        if not index.holds_facts(name):
            raise PublicationRefused(
                f"{name} has rows without columns to filter by: drop the alias {ALIAS!r} and the collection in Milvus "
                "(Milvus Lite: delete WORKDIR/milvus.db) and publish the day again."
            )
        if found.dimension != embeddings.dimension:
            raise PublicationRefused(
                f"{name} holds vectors of {found.dimension} numbers, those of {embeddings.ds} have "
                f"{embeddings.dimension}: a model of another width needs another version."
            )
        return found
    fresh = Publication(
        collection=name,
        dimension=embeddings.dimension,
        model_version=embeddings.model_version,
        template_version=TEMPLATE_VERSION,
        columns=columns,
    )
    index.create(fresh)
    return fresh


def _check(index: UserIndex, target: Publication, embeddings: Embeddings) -> None:
    """Refuses a collection that does not hold the day: by number of rows, and by canaries' vectors and searches."""
    name, users = target.collection, list(embeddings.input_hashes)
    if (found := index.count(name)) != len(users):
        raise PublicationRefused(f"{name} must hold {len(users)} users, Milvus counts {found}.")
    chosen = set(users[:: -(-len(users) // CANARIES)])
    canaries = list(embeddings.rows(chosen.__contains__))
    stored = index.vectors(name, [canary.user_id for canary in canaries])
    for canary in canaries:
        vector = stored.get(canary.user_id)
        if vector is None or not np.allclose(vector, canary.vector, rtol=1e-3, atol=1e-3):
            raise PublicationRefused(f"{name} does not hold the vector of user {canary.user_id!r} as it was embedded.")
        own = float(vector.astype(np.float64) @ vector.astype(np.float64))
        best = index.search(name, vector, 1)[0]
        if best.score < own * (1 - _TOLERANCE):
            raise PublicationRefused(
                f"{name} answers the vector of user {canary.user_id!r} with {best.user_id!r} at {best.score:.6g}, "
                f"below the user's own {own:.6g}: its search index is broken."
            )


def _serve(index: UserIndex, target: Publication, ds: date, current: Publication | None, *, written: str) -> str:
    """Stamps and serves the collection; keeps the one that it replaces and drops older ones."""
    replaced = current.collection if current and current.collection != target.collection else ""
    index.stamp(target.collection, ds=ds.isoformat(), previous=replaced, written=written)
    if current is None or replaced:
        index.point_alias(target.collection)
    kept = {target.collection, replaced or target.previous}
    for name in index.collections():
        if name not in kept:
            index.drop(name)
    return replaced


def _replace_text(path: Path, text: str) -> None:
    """The file holds the old text or the new one, never a part."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.publish", description="Publish a day's embeddings.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--ds", type=date.fromisoformat, help="the day to publish, e.g. 2011-09-01")
    parser.add_argument("--force", action="store_true", help="also a day that is older than the index, or unlike it")
    what.add_argument("--rollback", action="store_true", help="serve the previous model's collection again")
    parser.add_argument("--workdir")
    given = parser.parse_args(arguments)
    try:
        settings = read_settings(os.environ, Path.cwd()).with_arguments(vars(given))
        print(_through_the_owner(settings, given.ds, force=given.force))
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _through_the_owner(settings: Settings, ds: date | None, *, force: bool) -> str:
    """A running server owns its Milvus Lite file: it publishes. Otherwise this process does; None rolls back."""
    server = None if settings.milvus_uri else running.server_of(settings.work)
    if server:
        path, body = ("publish", {"ds": ds.isoformat(), "force": force}) if ds else ("rollback", {})
        return str(running.post(f"{server}/v1/admin/{path}", body, key=settings.admin_key)["message"])
    with open_index(settings) as index:
        if ds:
            return str(publish(index, settings.work, ds, denied=settings.names("denied_fields"), force=force))
        return f"{rollback(index, settings.work).collection} is served again"


if __name__ == "__main__":
    sys.exit(main())
