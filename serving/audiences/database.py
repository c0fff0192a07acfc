"""The SQLite file of audiences: its schema, and transactions that threads and processes may begin at the same time.

WAL: readers never wait for the writer. Every transaction has a connection of its own; a second writer waits for the
first. Deleted rows are overwritten (secure_delete), so that a deleted audience leaves no ids behind.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from serving.audiences.errors import StoreTooNew

SCHEMA_VERSION = 2
WAIT_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE audiences (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    holdout_share REAL NOT NULL,
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL,
    status TEXT NOT NULL,
    progress REAL NOT NULL DEFAULT 0,
    error TEXT,
    model_version TEXT NOT NULL DEFAULT '',
    collection TEXT NOT NULL DEFAULT '',
    ds TEXT NOT NULL DEFAULT '',
    template_version INTEGER NOT NULL DEFAULT 0,
    horizon_days INTEGER NOT NULL DEFAULT 0,
    gap_days INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    held_out INTEGER NOT NULL DEFAULT 0,
    counting TEXT,
    prediction TEXT,
    diagnostics TEXT,
    backtest TEXT,
    why TEXT,
    UNIQUE (tenant, idempotency_key)
) STRICT;
CREATE TABLE members (
    audience TEXT NOT NULL REFERENCES audiences (id) ON DELETE CASCADE,
    rank INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    score REAL NOT NULL,
    probability REAL NOT NULL,
    holdout INTEGER NOT NULL,
    PRIMARY KEY (audience, rank)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id, audience);
CREATE TABLE given_users (
    audience TEXT NOT NULL REFERENCES audiences (id) ON DELETE CASCADE,
    side TEXT NOT NULL,
    position INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (audience, side, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX given_users_by_user ON given_users (user_id);
CREATE TABLE exports (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    audience TEXT NOT NULL REFERENCES audiences (id) ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    created_at TEXT NOT NULL,
    url TEXT NOT NULL,
    format TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT
) STRICT;
"""
_FROM_VERSION_1 = "ALTER TABLE audiences ADD COLUMN why TEXT"


class Database:
    """One file, made where there is none, brought to this version where it is older. Raises StoreTooNew for one that a
    later version wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            found = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if found > SCHEMA_VERSION:
                connection.execute("ROLLBACK")
                raise StoreTooNew(
                    f"{path} has schema version {found}, this code knows versions up to {SCHEMA_VERSION}."
                )
            if found == 0:
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
            if found == 1:
                connection.execute(_FROM_VERSION_1)
            if found < SCHEMA_VERSION:
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One unchanging view of the whole file."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All of it happens, or none."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def compact(self) -> None:
        """Deleted rows are in no file any more, the write-ahead log included."""
        with closing(self._connect()) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        return connection
