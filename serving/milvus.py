"""Milvus, on a server or as one file: opening it, calling it, and turning its errors into ours."""

import logging
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import grpc
from pymilvus import MilvusClient, MilvusException
from pymilvus.client.cache import GlobalCache

from serving.errors import IndexLocked, IndexMissing, IndexUnreachable
from serving.expressions import Expression

T = TypeVar("T")
TEMPLATES_FROM = (2, 5)
"""Servers from this version on bind the values of expressions themselves, which Milvus Lite does not, and hold null."""


class Milvus:
    """A client of a Milvus server, or the one owner of a Milvus Lite file; thread-safe."""

    def __init__(self, uri: str, *, token: str = "", database: str = "") -> None:
        self.file = Path(uri).absolute() if uri.endswith(".db") and "://" not in uri else None
        self._turn = threading.RLock() if self.file else nullcontext()
        self._client = _open(self.file) if self.file else _connect(uri, token, database)
        is_old = self.file is None and _version(self._client) < TEMPLATES_FROM
        self._binds = self.file is not None or is_old
        self.holds_unknown = not is_old
        """Can a field be null?"""

    @contextmanager
    def client(self) -> Iterator[MilvusClient]:
        """The client; of a file, for one thread at a time.

        Raises IndexMissing or IndexUnreachable for what Milvus refuses, or does not answer in time.
        """
        with self._turn:
            try:
                yield self._client
            except MilvusException as error:
                if "not found" in error.message or "not exist" in error.message:
                    raise IndexMissing(f"Milvus has no such collection: {error.message}.") from error
                raise IndexUnreachable(f"Milvus answered: {error.message}.") from error
            except grpc.RpcError as error:  # pymilvus lets deadlines through
                why = error.details() if isinstance(error, grpc.Call) else error
                raise IndexUnreachable(f"Milvus did not answer: {why}.") from error

    def filtered(self, condition: Expression) -> dict[str, Any]:
        """The client's arguments for a condition. Where Milvus knows no templates, their values are bound here."""
        if self._binds:
            return {"filter": condition.bound()}
        return {"filter": condition.template, "filter_params": dict(condition.params)}

    def close(self) -> None:
        """Closes the connection; a Milvus Lite file is free for another owner afterwards."""
        self._client.close()
        if self.file:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(str(self.file))


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _connect(uri: str, token: str, database: str) -> MilvusClient:
    """A client of one database of the server, which is made where it is missing; without a name, of the default one."""
    try:
        with _quiet("pymilvus"):
            client = MilvusClient(uri, token=token, timeout=10)
            if not database:
                return client
            with closing(client):
                if database not in client.list_databases():
                    client.create_database(database)
            return MilvusClient(uri, token=token, timeout=10, db_name=database)
    except MilvusException as error:
        raise IndexUnreachable(f"no Milvus server answers at {uri}: {error.message}.") from error


def _version(client: MilvusClient) -> tuple[int, int]:
    major, minor = re.findall(r"\d+", client.get_server_version())[:2]
    return int(major), int(minor)


def _open(file: Path) -> MilvusClient:
    file.parent.mkdir(parents=True, exist_ok=True)
    GlobalCache.schema.clear()  # pymilvus knows schemas by port, and another file may have had the port of this one
    try:
        with _quiet("milvus_lite.server_manager"):
            return MilvusClient(str(file))
    except MilvusException as error:
        raise IndexLocked(f"another process holds the Milvus Lite folder {file}.") from error


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Milvus logs a stack trace of the very error that is explained here."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
