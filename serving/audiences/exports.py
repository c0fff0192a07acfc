"""Exports to a webhook: what was asked, how often it was tried, and how it went."""

import secrets
import sqlite3
from dataclasses import dataclass

from serving.audiences.database import Database
from serving.audiences.errors import QueueFull
from serving.audiences.records import QUEUED, RUNNING

DELIVERED = "delivered"
MOST_WAITING = 32
_COLUMNS = "id, audience, created_at, url, format, status, attempts, error"


@dataclass(frozen=True)
class Export:
    """One delivery of an audience; `error` says why the last attempt failed."""

    id: str
    audience: str
    created_at: str
    url: str
    format: str
    status: str
    attempts: int
    error: str | None


class ExportStore:
    """The exports of one tenant; thread-safe."""

    def __init__(self, database: Database, *, tenant: str = "default") -> None:
        self._database, self._tenant = database, tenant

    def create(self, audience: str, *, url: str, format: str, now: str) -> Export:
        """A queued export. Raises QueueFull where too many wait."""
        name = f"exp_{secrets.token_hex(12)}"
        sql = "INSERT INTO exports (id, audience, tenant, created_at, url, format, status) VALUES (?, ?, ?, ?, ?, ?, ?)"
        waiting = "SELECT count(*) FROM exports WHERE status = ?"
        with self._database.writing() as db:
            if int(db.execute(waiting, (QUEUED,)).fetchone()[0]) >= MOST_WAITING:
                raise QueueFull(f"{MOST_WAITING} exports wait, no more may.")
            db.execute(sql, (name, audience, self._tenant, now, url, format, QUEUED))
            return _export(db, name)

    def of(self, audience: str) -> list[Export]:
        """The exports of an audience, the newest first."""
        sql = f"SELECT {_COLUMNS} FROM exports WHERE audience = ? AND tenant = ? ORDER BY number DESC"
        with self._database.reading() as db:
            return [Export(*row) for row in db.execute(sql, (audience, self._tenant))]

    def deliveries_of(self, user_id: str) -> list[dict[str, str]]:
        """The exports of all tenants that were sent with this user in them: what receivers have is theirs to erase."""
        sql = (
            "SELECT e.id, e.audience, e.created_at, e.url, e.status FROM exports e JOIN members m USING (audience)"
            " WHERE m.user_id = ? AND m.holdout = 0 AND e.attempts > 0 ORDER BY e.number"
        )
        with self._database.reading() as db:
            return [dict(row) for row in db.execute(sql, (user_id,))]

    def requeue(self) -> None:
        """For the start of the one server of a work directory: a delivery that was cut off is tried again."""
        with self._database.writing() as db:
            db.execute("UPDATE exports SET status = ? WHERE status = ?", (QUEUED, RUNNING))

    def claim(self) -> Export | None:
        """The export that has waited longest, now running."""
        sql = "SELECT id FROM exports WHERE tenant = ? AND status = ? ORDER BY number LIMIT 1"
        with self._database.writing() as db:
            if not (row := db.execute(sql, (self._tenant, QUEUED)).fetchone()):
                return None
            db.execute("UPDATE exports SET status = ? WHERE id = ?", (RUNNING, row[0]))
            return _export(db, row[0])

    def tried(self, name: str, attempt: int) -> None:
        with self._database.writing() as db:
            db.execute("UPDATE exports SET attempts = ? WHERE id = ?", (attempt, name))

    def settle(self, name: str, status: str, *, error: str | None = None) -> None:
        with self._database.writing() as db:
            db.execute("UPDATE exports SET status = ?, error = ? WHERE id = ?", (status, error, name))


def _export(db: sqlite3.Connection, name: str) -> Export:
    return Export(*db.execute(f"SELECT {_COLUMNS} FROM exports WHERE id = ?", (name,)).fetchone())
