"""The store of audiences, on real SQLite files: what is written is read, by several writers at once, in pages, once."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import date

import pytest
from audience_doubles import NOW, VERSIONS, made, new
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.audiences import store as stores
from serving.audiences.database import SCHEMA_VERSION, Database
from serving.audiences.errors import AudienceFinished, AudienceMissing, IdempotencyConflict, QueueFull, StoreTooNew
from serving.audiences.exports import ExportStore
from serving.audiences.records import NewAudience
from serving.audiences.store import MOST_WAITING, AudienceStore


@pytest.fixture
def database(tmp_path):
    return Database(tmp_path / "audiences" / "audiences.db")


@pytest.fixture
def store(database):
    return AudienceStore(database)


def ready(store: AudienceStore, name: str = "one", **given) -> str:
    created, _ = store.create(new(name), now=NOW)
    assert store.claim().id == created.id
    assert store.finish(created.id, made(**given))
    return created.id


def test_an_audience_is_read_as_it_was_made(store, database):
    name = ready(store, users=5, held_out=2)

    found = AudienceStore(Database(database.path)).get(name)

    assert (found.name, found.kind, found.created_at, found.status, found.progress) == (
        "one",
        "target",
        NOW,
        "ready",
        1,
    )
    assert found.versions == VERSIONS
    assert (found.size, found.held_out, found.horizon_days, found.gap_days) == (5, 2, 30, 0)
    assert found.request == {"asked": {"demand": "picnic", "size": 5}, "user_lists": [], "counts_when": []}
    assert found.prediction["expected"] == 1.0
    pages = list(store.members(name))
    assert [(rank, m) for page in pages for rank, m in page] == list(enumerate(made(users=5, held_out=2).members))


@pytest.mark.parametrize(("status", "then"), [(503, "queued"), (500, "queued"), (404, "failed")])
def test_what_failed_by_the_servers_fault_is_made_anew_under_its_key(store, status, then):
    asked = replace(new(), idempotency_key="k")
    first, _ = store.create(asked, now=NOW)
    store.claim()
    store.fail(first.id, {"code": "c", "detail": "d", "hint": "h", "status": status})

    again, fresh = store.create(asked, now=NOW)

    assert (again.id, again.status, fresh, again.error is None) == (first.id, then, False, then == "queued")


def test_members_come_in_pages_and_a_deletion_in_between_is_told(store, monkeypatch):
    monkeypatch.setattr(stores, "_PAGE", 4)
    name = ready(store, users=10)
    assert [len(page) for page in store.members(name)] == [4, 4, 2]

    pages = store.members(name)
    next(pages)
    store.delete(name)
    with pytest.raises(AudienceMissing, match=f"there is no audience '{name}'"):
        next(pages)


@pytest.mark.parametrize("rank", [0, 4, 9])
def test_members_but_an_erased_one_are_read_wherever_it_ranked(store, monkeypatch, rank):
    monkeypatch.setattr(stores, "_PAGE", 4)
    name = ready(store, users=10)
    gone = made(users=10).members[rank].user_id

    assert store.forget(gone) == 1

    left = [member.user_id for page in store.members(name) for _, member in page]
    assert left == [member.user_id for member in made(users=10).members if member.user_id != gone]


def test_two_writers_at_once_lose_nothing_and_no_audience_is_claimed_twice(database, monkeypatch):
    monkeypatch.setattr(stores, "MOST_WAITING", 1_000)
    own = [AudienceStore(Database(database.path)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: own[at % 4].create(new(f"a{at}"), now=NOW), range(40)))
    claimed: list[str] = []

    def work(store: AudienceStore) -> None:
        while found := store.claim():
            claimed.append(found.id)
            store.finish(found.id, made(users=20))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, own))

    assert len(claimed) == len(set(claimed)) == 40
    stored = own[0].page(limit=100)
    assert {audience.name for audience in stored} == {f"a{at}" for at in range(40)}
    assert all(a.status == "ready" and sum(map(len, own[1].members(a.id))) == 20 for a in stored)


def test_a_reader_is_not_stopped_by_a_writer_and_sees_the_state_before(store, database):
    name = ready(store)
    with database.writing() as db:
        db.execute("UPDATE audiences SET name = 'half' WHERE id = ?", (name,))
        assert store.get(name).name == "one"
    assert store.get(name).name == "half"


def test_a_failed_transaction_leaves_nothing(store, database):
    name = ready(store)
    with pytest.raises(sqlite3.IntegrityError), database.writing() as db:
        db.execute("UPDATE audiences SET name = 'half' WHERE id = ?", (name,))
        db.execute("INSERT INTO members VALUES ('aud_none', 0, 'u', 0, 0, 0)")
    assert store.get(name).name == "one"


@settings(max_examples=15, deadline=None)
@given(count=st.integers(0, 12), limit=st.integers(1, 5), extra=st.lists(st.integers(0, 12), max_size=3))
def test_pages_give_every_audience_once_newest_first_whatever_is_made_or_deleted_meanwhile(
    tmp_path_factory, count, limit, extra
):
    store = AudienceStore(Database(tmp_path_factory.mktemp("store") / "audiences.db"))
    names = [store.create(new(str(at)), now=NOW)[0].id for at in range(count)]
    seen: list[str] = []
    before, pages, deleted = None, 0, set()
    while page := store.page(limit=limit, before=before):
        assert len(page) <= limit
        seen += [audience.id for audience in page]
        before = page[-1].number
        if pages in extra:
            store.create(new("late"), now=NOW)
            deleted.add(page[-1].id)
            store.delete(page[-1].id)
        pages += 1
    assert seen == names[::-1]


def test_a_page_of_one_status(store):
    one = ready(store, "ready one")
    store.create(new("waits"), now=NOW)
    assert [audience.id for audience in store.page(limit=10, status="ready")] == [one]


def test_the_same_key_gives_the_same_audience_and_another_request_with_it_is_refused(store):
    first, fresh = store.create(new(idempotency_key="k"), now=NOW)
    again, repeated = store.create(new(idempotency_key="k"), now="later")

    assert (fresh, repeated) == (True, False) and again == first
    assert store.create(new(), now=NOW)[0].id != store.create(new(), now=NOW)[0].id
    with pytest.raises(IdempotencyConflict, match="the key 'k' was sent with another request"):
        store.create(new("another", idempotency_key="k"), now=NOW)
    assert AudienceStore(store._database, tenant="b").create(new("another", idempotency_key="k"), now=NOW)[1]


def test_two_requests_with_one_key_at_once_make_one_audience(store):
    barrier = threading.Barrier(8)

    def create(_):
        barrier.wait()
        return store.create(new(idempotency_key="k"), now=NOW)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(8)))
    assert len({stored.id for stored, _ in answers}) == 1
    assert sum(fresh for _, fresh in answers) == 1


def test_more_than_may_wait_are_refused(store):
    for at in range(MOST_WAITING):
        store.create(new(str(at)), now=NOW)
    with pytest.raises(QueueFull, match=f"{MOST_WAITING} audiences are being made or wait") as refused:
        store.create(new(), now=NOW)
    assert refused.value.headers == {"Retry-After": "10"}
    store.finish(store.claim().id, made())
    store.create(new(), now=NOW)


def test_what_was_running_when_a_server_stopped_is_begun_again(store):
    created, _ = store.create(new(), now=NOW)
    assert store.claim().id == created.id and store.advance(created.id, 0.5)
    assert store.claim() is None

    store.requeue()

    assert store.get(created.id).progress == 0
    assert store.claim().id == created.id


def test_a_cancelled_or_deleted_audience_comes_to_nothing(store):
    cancelled, _ = store.create(new(), now=NOW)
    store.claim()
    assert store.cancel(cancelled.id).status == "cancelled"
    deleted, _ = store.create(new(), now=NOW)
    store.claim()
    store.delete(deleted.id)

    for name in (cancelled.id, deleted.id):
        assert not store.advance(name, 0.5) and not store.finish(name, made())
        store.fail(name, {"code": "late"})
    assert store.get(cancelled.id).status == "cancelled" and list(store.members(cancelled.id)) == []
    with pytest.raises(AudienceFinished, match="is cancelled: there is nothing to cancel"):
        store.cancel(cancelled.id)


def test_a_tenant_sees_its_own_audiences_alone(store, database):
    name = ready(store)
    other = AudienceStore(database, tenant="other")

    assert other.page(limit=10) == [] and other.claim() is None and other.due(date(2099, 1, 1)) == []
    for refused in (
        lambda: other.get(name),
        lambda: other.rename(name, "mine"),
        lambda: other.delete(name),
        lambda: other.cancel(name),
        lambda: list(other.members(name)),
        lambda: other.record(name, {}),
    ):
        with pytest.raises(AudienceMissing, match=f"there is no audience '{name}'"):
            refused()
    assert store.get(name).name == "one"


def test_how_many_users_two_audiences_share(store):
    one, other, apart = ready(store, users=5), ready(store, users=3), ready(store, users=3, prefix="v")
    assert (store.shared(one, other), store.shared(one, apart), store.shared(one, one)) == (3, 0, 5)


def test_an_audience_is_due_when_its_window_has_ended_and_until_it_is_recorded(store):
    name = ready(store, gap_days=5)
    ready(store, horizon_days=0)
    assert store.due(date(2024, 7, 5)) == []
    assert [audience.id for audience in store.due(date(2024, 7, 6))] == [name]

    store.record(name, {"status": "measured"})

    assert store.due(date(2024, 7, 6)) == [] and store.get(name).backtest == {"status": "measured"}


def test_a_forgotten_user_is_in_no_table_and_in_no_file(store, database):
    asked = {"positives": ["u1", "needle-7"], "demand": "", "size": 5}
    created, _ = store.create(NewAudience("seeds", "lookalike", asked), now=NOW)
    store.claim()
    store.finish(created.id, made(users=500, prefix="needle-7-not-"))
    ready(store, prefix="needle-")
    with database.writing() as db:
        db.execute("UPDATE members SET user_id = 'needle-7' WHERE rank = 1 AND audience = ?", (created.id,))

    assert store.forget("needle-7") == 2

    assert [user.user_id for user in store.given_users(created.id)] == ["u1"]
    assert sum(map(len, store.members(created.id))) == 499
    everything = b"".join(path.read_bytes() for path in database.path.parent.iterdir())
    assert b"needle-7-not-" in everything and b"needle-7" not in everything.replace(b"needle-7-not-", b"")
    assert store.forget("needle-7") == 0


def test_deleting_takes_members_seeds_and_exports_along(store, database):
    name = ready(store)
    ExportStore(database).create(name, url="https://h/", format="csv", now=NOW)
    assert store.delete(name).id == name
    with database.reading() as db:
        for table in ("audiences", "members", "given_users", "exports"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0
    with pytest.raises(AudienceMissing):
        store.get(name)


def test_a_store_of_the_first_version_is_brought_to_this_one(database):
    store = AudienceStore(database)
    old, _ = store.create(new(), now=NOW)
    with database.writing() as db:
        db.execute("ALTER TABLE audiences DROP COLUMN why")
        db.execute("PRAGMA user_version = 1")

    again = AudienceStore(Database(database.path))
    assert again.get(old.id).why is None
    again.claim()
    again.finish(old.id, made(why=[{"kind": "word", "said": "picnic"}]))
    assert AudienceStore(Database(database.path)).get(old.id).why == [{"kind": "word", "said": "picnic"}]


def test_a_store_of_a_later_version_is_refused_and_left_alone(database):
    with closing(sqlite3.connect(database.path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreTooNew, match=f"has schema version {SCHEMA_VERSION + 1}, this code knows versions up to"):
        Database(database.path)


def test_exports_wait_run_and_end(store, database, monkeypatch):
    exports = ExportStore(database)
    first, second = (exports.create(ready(store), url="https://h/", format="csv", now=NOW) for _ in range(2))

    claimed = exports.claim()
    exports.tried(claimed.id, 3)
    exports.settle(claimed.id, "failed", error="no answer")

    (found,) = exports.of(first.audience)
    assert (found.status, found.attempts, found.error) == ("failed", 3, "no answer")
    assert exports.claim().id == second.id and exports.claim() is None
    exports.requeue()
    assert exports.claim().id == second.id
    monkeypatch.setattr("serving.audiences.exports.MOST_WAITING", 0)
    with pytest.raises(QueueFull, match="0 exports wait, no more may"):
        exports.create(first.audience, url="https://h/", format="csv", now=NOW)
