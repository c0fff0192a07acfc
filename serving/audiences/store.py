"""Stored audiences of one tenant: made, read, renamed, deleted, and worked through from queued to ready.

The table is also the queue: a server that was stopped finds what it had not finished.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import date
from typing import Any

from serving.audiences.database import Database
from serving.audiences.errors import AudienceFinished, AudienceMissing, IdempotencyConflict, QueueFull
from serving.audiences.records import (
    CANCELLED,
    FAILED,
    QUEUED,
    READY,
    RUNNING,
    UNFINISHED,
    USER_LISTS,
    GivenUser,
    Made,
    NewAudience,
    StoredAudience,
    StoredMember,
    users_of,
)
from serving.versions import VERSIONS

MOST_WAITING = 32
"""More requests than this are answered with 429."""
_PAGE = 4_096
_JSON = ("request", "error", "counting", "prediction", "diagnostics", "backtest", "why")
_COLUMNS = ", ".join(f.name for f in fields(StoredAudience))
_FORGOTTEN = "json_set(error, '$.detail', 'users whom the request named were erased.')"
_OPEN = f"status IN ('{QUEUED}', '{RUNNING}')"


class AudienceStore:
    """Thread-safe; several processes may share the file."""

    def __init__(self, database: Database, *, tenant: str = "default") -> None:
        self._database, self._tenant = database, tenant

    def create(self, new: NewAudience, *, now: str) -> tuple[StoredAudience, bool]:
        """The queued audience, and whether it is new: an idempotency key that is known gives what it gave before. What
        failed by the server's fault waits again.

        Raises IdempotencyConflict for a key of another request, QueueFull where too much waits.
        """
        with self._database.writing() as db:
            if new.idempotency_key is not None:
                where = "tenant = ? AND idempotency_key = ?"
                if known := _one(db, where, (self._tenant, new.idempotency_key)):
                    if known.fingerprint != new.fingerprint:
                        raise IdempotencyConflict(f"the key {new.idempotency_key!r} was sent with another request.")
                    return self._again(db, known), False
            waiting = int(db.execute(f"SELECT count(*) FROM audiences WHERE {_OPEN}").fetchone()[0])
            if waiting >= MOST_WAITING:
                raise QueueFull(f"{waiting} audiences are being made or wait, no more than {MOST_WAITING} may.")
            return self._insert(db, new, now), True

    def _again(self, db: sqlite3.Connection, known: StoredAudience) -> StoredAudience:
        if known.status == FAILED and (known.error or {}).get("status", 0) >= 500:
            sql = "UPDATE audiences SET status = ?, progress = 0, error = NULL WHERE id = ?"
            db.execute(sql, (QUEUED, known.id))
        return self._get(db, known.id)

    def _insert(self, db: sqlite3.Connection, new: NewAudience, now: str) -> StoredAudience:
        name = f"aud_{secrets.token_hex(12)}"
        asked = {key: value for key, value in new.asked.items() if key not in USER_LISTS}
        lists = [side for side in USER_LISTS if side in new.asked]
        request = {"asked": asked, "user_lists": lists, "counts_when": list(new.counts_when)}
        row: dict[str, Any] = {
            "id": name,
            "tenant": self._tenant,
            "name": new.name,
            "created_at": now,
            "kind": new.kind,
        }
        row |= {"request": _json(request), "holdout_share": new.holdout_share, "status": QUEUED}
        row |= {"fingerprint": new.fingerprint, "idempotency_key": new.idempotency_key}
        places = ", ".join(f":{column}" for column in row)
        db.execute(f"INSERT INTO audiences ({', '.join(row)}) VALUES ({places})", row)
        rows = [(name, given.side, at, given.user_id) for at, given in enumerate(users_of(new.asked))]
        db.executemany("INSERT INTO given_users (audience, side, position, user_id) VALUES (?, ?, ?, ?)", rows)
        return self._get(db, name)

    def get(self, name: str) -> StoredAudience:
        """Raises AudienceMissing."""
        with self._database.reading() as db:
            return self._get(db, name)

    def page(self, *, limit: int, before: int | None = None, status: str | None = None) -> list[StoredAudience]:
        """At most `limit` audiences, the newest first, of those made before number `before`."""
        where, values = ["tenant = ?"], [self._tenant]
        if before is not None:
            where, values = [*where, "number < ?"], [*values, str(before)]
        if status is not None:
            where, values = [*where, "status = ?"], [*values, status]
        with self._database.reading() as db:
            return _all(db, f"{' AND '.join(where)} ORDER BY number DESC LIMIT {int(limit)}", values)

    def counts(self) -> dict[str, int]:
        """How many audiences are in each status."""
        sql = "SELECT status, count(*) FROM audiences WHERE tenant = ? GROUP BY status"
        with self._database.reading() as db:
            return {row[0]: int(row[1]) for row in db.execute(sql, (self._tenant,))}

    def rename(self, name: str, title: str) -> StoredAudience:
        with self._database.writing() as db:
            self._get(db, name)
            db.execute("UPDATE audiences SET name = ? WHERE id = ?", (title, name))
            return self._get(db, name)

    def delete(self, name: str) -> StoredAudience:
        """Removes the audience with its members, seeds and exports; returns what it was."""
        with self._database.writing() as db:
            found = self._get(db, name)
            db.execute("DELETE FROM audiences WHERE id = ?", (name,))
        return found

    def cancel(self, name: str) -> StoredAudience:
        """What is under way for it comes to nothing. Raises AudienceFinished."""
        with self._database.writing() as db:
            found = self._get(db, name)
            if found.status not in UNFINISHED:
                raise AudienceFinished(f"{name} is {found.status}: there is nothing to cancel.")
            db.execute("UPDATE audiences SET status = ? WHERE id = ?", (CANCELLED, name))
            return self._get(db, name)

    def requeue(self) -> None:
        """For the start of the one server of a work directory: what another had begun is begun again."""
        with self._database.writing() as db:
            db.execute("UPDATE audiences SET status = ?, progress = 0 WHERE status = ?", (QUEUED, RUNNING))

    def put_back(self, name: str) -> None:
        """One that runs waits again, in its old place."""
        with self._database.writing() as db:
            sql = "UPDATE audiences SET status = ?, progress = 0 WHERE id = ? AND status = ?"
            db.execute(sql, (QUEUED, name, RUNNING))

    def claim(self) -> StoredAudience | None:
        """The audience that has waited longest, now running."""
        with self._database.writing() as db:
            if not (found := _one(db, "tenant = ? AND status = ? ORDER BY number LIMIT 1", (self._tenant, QUEUED))):
                return None
            db.execute("UPDATE audiences SET status = ? WHERE id = ?", (RUNNING, found.id))
            return self._get(db, found.id)

    def advance(self, name: str, progress: float) -> bool:
        """Notes how far it is; False where it was cancelled or deleted."""
        sql = "UPDATE audiences SET progress = ? WHERE id = ? AND status = ?"
        with self._database.writing() as db:
            return db.execute(sql, (progress, name, RUNNING)).rowcount == 1

    def finish(self, name: str, made: Made) -> bool:
        """Stores what it became, whole; False where it was cancelled or deleted."""
        held_out = sum(member.holdout for member in made.members)
        told = [_json(part) for part in (made.counting, made.prediction, made.diagnostics, list(made.why))]
        versions = [made.versions[key] for key in VERSIONS]
        with self._database.writing() as db:
            done = db.execute(
                "UPDATE audiences SET status = ?, progress = 1, model_version = ?, collection = ?, ds = ?,"
                " template_version = ?, horizon_days = ?, gap_days = ?, size = ?, held_out = ?, counting = ?,"
                " prediction = ?, diagnostics = ?, why = ? WHERE id = ? AND status = ?",
                (READY, *versions, made.horizon_days, made.gap_days, len(made.members), held_out, *told, name, RUNNING),
            )
            rows = ((name, at, m.user_id, m.score, m.probability, int(m.holdout)) for at, m in enumerate(made.members))
            if done.rowcount == 1:
                db.executemany("INSERT INTO members VALUES (?, ?, ?, ?, ?, ?)", rows)
            return done.rowcount == 1

    def fail(self, name: str, error: Mapping[str, Any]) -> None:
        sql = "UPDATE audiences SET status = ?, error = ? WHERE id = ? AND status = ?"
        with self._database.writing() as db:
            db.execute(sql, (FAILED, _json(error), name, RUNNING))

    def given_users(self, name: str) -> list[GivenUser]:
        """The users that the request named, in its order."""
        sql = "SELECT side, user_id, note FROM given_users WHERE audience = ? ORDER BY position"
        with self._database.reading() as db:
            return [GivenUser(*row) for row in db.execute(sql, (name,))]

    def note(self, name: str, notes: Mapping[str, str]) -> None:
        """What the diagnostics found of some of the given users."""
        rows = [(note, name, user) for user, note in notes.items()]
        with self._database.writing() as db:
            db.executemany("UPDATE given_users SET note = ? WHERE audience = ? AND user_id = ?", rows)

    def members(self, name: str) -> Iterator[list[tuple[int, StoredMember]]]:
        """The members with their ranks from 0, best first, in pages; fewer than its size after one was erased. Raises
        AudienceMissing if deleted meanwhile."""
        sql = (
            "SELECT rank, user_id, score, probability, holdout FROM members"
            f" WHERE audience = ? AND rank >= ? ORDER BY rank LIMIT {_PAGE}"
        )
        size, after = self.get(name).size, 0
        while after < size:
            with self._database.reading() as db:
                rows = db.execute(sql, (name, after)).fetchall()
            if not rows:
                self.get(name)
                return
            yield [(row[0], StoredMember(row[1], row[2], row[3], bool(row[4]))) for row in rows]
            after = rows[-1][0] + 1

    def shared(self, one: str, other: str) -> int:
        """How many users are members of both."""
        sql = "SELECT count(*) FROM members a JOIN members b USING (user_id) WHERE a.audience = ? AND b.audience = ?"
        with self._database.reading() as db:
            return int(db.execute(sql, (one, other)).fetchone()[0])

    def due(self, until: date) -> list[StoredAudience]:
        """Ready audiences whose window has ended by `until` and that have no backtest yet, the oldest first."""
        ends = "date(ds, '+' || (gap_days + horizon_days) || ' days')"
        where = f"tenant = ? AND status = ? AND backtest IS NULL AND horizon_days > 0 AND {ends} <= ? ORDER BY number"
        with self._database.reading() as db:
            return _all(db, where, (self._tenant, READY, until.isoformat()))

    def record(self, name: str, backtest: Mapping[str, Any]) -> None:
        """What became of the promise; written over where it was written before."""
        with self._database.writing() as db:
            self._get(db, name)
            db.execute("UPDATE audiences SET backtest = ? WHERE id = ?", (_json(backtest), name))

    def forget(self, user_id: str) -> int:
        """Removes the user from all audiences and lists of seeds of all tenants; returns how many rows held it.

        What failed because of the user says so no longer, and no request that named the user is known by its hash.
        """
        named = "id IN (SELECT audience FROM given_users WHERE user_id = ?)"
        with self._database.writing() as db:
            db.execute(f"UPDATE audiences SET fingerprint = '', error = {_FORGOTTEN} WHERE {named}", (user_id,))
            tables = ("members", "given_users")
            gone = sum(db.execute(f"DELETE FROM {table} WHERE user_id = ?", (user_id,)).rowcount for table in tables)
        self._database.compact()
        return gone

    def _get(self, db: sqlite3.Connection, name: str) -> StoredAudience:
        if found := _one(db, "tenant = ? AND id = ?", (self._tenant, name)):
            return found
        raise AudienceMissing(f"there is no audience {name!r}.")


def _one(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> StoredAudience | None:
    return next(iter(_all(db, where, values)), None)


def _all(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[StoredAudience]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM audiences WHERE {where}", tuple(values))
    return [StoredAudience(**{**dict(row), **{k: json.loads(row[k]) for k in _JSON if row[k]}}) for row in rows]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
