"""Erasing a user: out of every place, no id left in any file, and nothing else touched."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audience_doubles import USERS, made, new, published, serving
from serving_doubles import DAY, embedded, user_name, write_embeddings, write_features

from feature_repo.contracts.blocklist import BlockList
from feature_repo.contracts.settings import Settings
from serving import running
from serving.audiences.database import Database
from serving.audiences.exports import ExportStore
from serving.audiences.store import AudienceStore
from serving.cli import main
from serving.erasure.command import erased as erased_by_command
from serving.erasure.erase import erase
from serving.erasure.person import Person
from serving.erasure.search import holding
from serving.errors import InvalidRequest, UserWithoutFeatures
from serving.index import open_index
from serving.publish import publish
from serving.user_features import OnlineFeatures

GONE = user_name(7)
NOW = datetime(2024, 6, 2, 9, tzinfo=UTC)


def files(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.is_file())


def erased(settings: Settings, user: str = GONE):
    with open_index(settings) as index:
        return erase(settings, index, user, now=NOW)


def removed(receipt) -> dict[str, int]:
    return {place.name: place.removed for place in receipt.places}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A work directory with a stored audience, a list and a log, after one erasure: settings and receipt."""
    settings = published(tmp_path_factory.mktemp("erased"), admin_key="k")
    store = AudienceStore(Database(settings.work.audiences))
    created, _ = store.create(new(), now="2024-06-01")
    store.claim()
    store.finish(created.id, made(10, prefix="u0000"[:3]))
    (settings.work.root / "logs").mkdir()
    (settings.work.root / "logs" / "a.log").write_text(f"e.g. {GONE} and {GONE}1, {user_name(8)}\n")
    (settings.work.root / "mine.csv").write_text(f"user_id\n{GONE}\n{user_name(8)}\n")
    return settings, erased(settings)


def test_no_file_of_the_work_directory_holds_the_id(done):
    settings, receipt = done
    found = [path for path in files(settings.work.root) if GONE.encode() in path.read_bytes()]

    assert [path.name for path in found] == ["a.log"], "another id that begins alike is another user's"
    assert holding(Person(GONE), settings.work.root) == []
    assert list(receipt.left) == []


def test_the_index_holds_all_others_as_they_were(done):
    settings, _ = done
    with open_index(settings) as index:
        publication = index.published()
        assert (publication.collection, publication.ds) == ("users_v1", DAY.isoformat())
        assert index.count("users_v1") == USERS - 1
        assert index.collections() == ["users_v1"]
        everybody = [user_name(at) for at in range(USERS)]
        stored = index.vectors("users_v1", everybody)
        assert set(stored) == set(everybody) - {GONE}
        for user, (vector, _) in embedded(USERS).items():
            if user != GONE:
                np.testing.assert_array_equal(stored[user], vector)
        hits = index.search("users_v1", embedded(USERS)[GONE][0], USERS)
        assert len(hits) == USERS - 1 and GONE not in {hit.user_id for hit in hits}
        again = publish(index, settings.work, DAY)
        assert (again.users, again.written, again.deleted) == (USERS - 1, 0, 0), "rows are as they were published"


def test_feast_finds_all_others(done):
    settings, _ = done
    online = OnlineFeatures(settings)
    assert online.of(user_name(8))
    with pytest.raises(UserWithoutFeatures):
        online.of(GONE)
    with closing(sqlite3.connect(settings.work.feast / "online.db")) as database:
        assert database.execute("PRAGMA freelist_count").fetchone()[0] == 0, "no page keeps what was deleted"


def test_tables_lose_one_row_each_and_keep_their_schema(done):
    settings, _ = done
    work = settings.work
    for view in ("history", "searches", "activity", "profile", "embedding"):
        table = pq.read_table(str(work.partition(view, DAY)))
        assert sorted(table["user_id"].to_pylist()) == [user_name(at) for at in range(USERS) if at != 7], view


def test_the_receipt_tells_every_place_without_the_id(done):
    settings, receipt = done
    told = receipt.document()

    counts = removed(receipt)
    assert counts["index"] == 1 and counts["tables"] == 5 and counts["lists"] == 1 and counts["logs"] == 1
    assert counts["online features"] > 20
    assert receipt.known and receipt.newly_blocked
    assert receipt.places[0].compacted == "written anew without the user: users_v1"
    assert GONE not in json.dumps(told)
    assert receipt.user == BlockList(settings.work.erasure).hash_of(GONE)
    assert json.loads(Path(receipt.file).read_text()) == json.loads(json.dumps(told))
    assert Path(receipt.file).name == f"{receipt.user}.20240602T090000Z.json"


def test_a_log_is_masked_and_a_list_loses_its_line(done):
    settings, _ = done
    assert (settings.work.root / "logs" / "a.log").read_text() == f"e.g. **** and {GONE}1, {user_name(8)}\n"
    assert (settings.work.root / "mine.csv").read_text() == f"user_id\n{user_name(8)}\n"


def test_erasing_twice_finds_nothing_and_blocks_nobody_anew(done):
    settings, first = done
    before = {path: path.read_bytes() for path in files(settings.work.root / "features")}

    receipt = erased(settings)

    assert not receipt.known and not receipt.newly_blocked
    assert set(removed(receipt).values()) == {0}
    assert receipt.user == first.user
    assert {path: path.read_bytes() for path in files(settings.work.root / "features")} == before


def test_an_unknown_user_is_blocked_and_said_to_be_unknown(done):
    settings, _ = done
    receipt = erased(settings, "never seen")
    assert (receipt.known, receipt.newly_blocked) == (False, True)
    assert BlockList(settings.work.erasure).read().holds("never seen")


@pytest.mark.parametrize("user", ["", "   ", "x" * 257, "\udcff"])
def test_what_is_no_id_is_refused(tmp_path, user):
    with pytest.raises(InvalidRequest, match="a user id must "):
        erase(Settings(workdir=str(tmp_path)), None, user)
    assert not (tmp_path / "erasure" / "blocked").exists()


def test_what_a_job_wrote_back_meanwhile_goes_neither_online_nor_into_the_index(tmp_path):
    settings = published(tmp_path)
    erased(settings)
    write_embeddings(settings.work, DAY, embedded(USERS))
    write_features(settings, DAY, USERS)

    with open_index(settings) as index:
        assert publish(index, settings.work, DAY).users == USERS - 1
        assert index.vectors("users_v1", [GONE]) == {}
    with pytest.raises(UserWithoutFeatures):
        OnlineFeatures(settings).of(GONE)
    assert len(erased(settings).left) == 0, "and the tables lose the user again"


def test_any_id_can_be_erased(tmp_path):
    settings = published(tmp_path)
    for user in ['a"b', "a/b?c", "ü\u202e", "a\x01b", "]) or user_id != (["]:
        assert not erased(settings, user).known
    with open_index(settings) as index:
        assert index.count("users_v1") == USERS


def test_a_previous_collection_and_a_half_built_one_forget_too(tmp_path):
    settings = published(tmp_path)
    with open_index(settings) as index:
        write_embeddings(settings.work, DAY, embedded(USERS), version="v2")
        publish(index, settings.work, DAY)
        fresh = index.describe("users_v2")
        index.create(type(fresh)("users_half", fresh.dimension, "half", 1, columns=fresh.columns))
        index.delete("users_v1", [GONE])

        erase(settings, index, GONE, now=NOW)

        assert index.collections() == ["users_half", "users_v1", "users_v2"]
        assert {name: index.count(name) for name in index.collections()} == {
            "users_half": 0,
            "users_v1": USERS - 1,
            "users_v2": USERS - 1,
        }
        assert index.published().collection == "users_v2"
        assert index.published().previous == "users_v1"
    assert holding(Person(GONE), settings.work.milvus_lite) == []


@pytest.mark.parametrize("killed_at", ["alter_alias", "drop_collection", "rename_collection"])
def test_a_killed_copy_is_ended_by_the_next_erasure(tmp_path, monkeypatch, killed_at):
    settings = published(tmp_path)
    with open_index(settings) as index:
        with index.milvus.client() as client, monkeypatch.context() as patched:

            def killed(*_: object, **__: object) -> None:
                raise KeyboardInterrupt

            patched.setattr(client, killed_at, killed)
            with pytest.raises(KeyboardInterrupt):
                erase(settings, index, GONE, now=NOW)

        erase(settings, index, GONE, now=NOW)

        with index.milvus.client() as client:
            assert client.list_collections() == ["users_v1"]
        assert index.published().collection == "users_v1"
        assert index.count("users_v1") == USERS - 1
    assert holding(Person(GONE), settings.work.root) == []


@pytest.fixture
def answering(tmp_path):
    settings = published(tmp_path / "work", admin_key="secret", lake=str(tmp_path / "lake"))
    (tmp_path / "lake").mkdir()
    with serving(settings) as client:
        yield settings, client


def test_the_api_erases_for_an_admin_and_answers_without_the_user(answering):
    settings, client = answering
    seeds = [user_name(at) for at in (3, 11, 15)]
    body = {"name": "a", "positives": [GONE, *seeds], "counts_when": ["picnic basket"], "size": USERS}
    stored = client.post("/v1/audiences", json=body).json()
    assert client.delete(f"/v1/users/{GONE}").status_code == 401

    told = client.delete(f"/v1/users/{GONE}", headers={"Authorization": "Bearer secret"})

    assert told.status_code == 200, told.text
    assert told.json()["left"] == [] and GONE not in told.text
    assert {p["name"]: p["removed"] for p in told.json()["places"]}["stored audiences"] > 0
    assert client.get("/readyz").status_code == 200
    assert client.get(f"/v1/users/{GONE}/features").json()["code"] == "user_without_features"
    everybody = client.post("/v1/audiences:target", json={"demand": "picnic", "size": USERS}).json()["users"]
    assert len(everybody) == USERS - 1 and GONE not in {user["user_id"] for user in everybody}
    assert GONE not in client.get(f"/v1/audiences/{stored['id']}/members?format=csv").text
    assert holding(Person(GONE), settings.work.root) == []


def test_who_was_erased_is_not_stored_again_by_a_request_that_names_the_user(answering):
    settings, client = answering
    client.delete(f"/v1/users/{GONE}", headers={"Authorization": "Bearer secret"})
    body = {"name": "a", "positives": [GONE], "counts_when": ["picnic basket"]}

    refused = client.post("/v1/audiences", json=body)
    kept = client.post("/v1/audiences", json=body | {"positives": [GONE, user_name(3)], "exclude_users": [GONE]})

    assert refused.json()["code"] == "no_seeds"
    assert kept.json()["status"] == "ready", kept.text
    assert holding(Person(GONE), settings.work.root) == []


def test_what_failed_because_of_the_user_says_so_no_longer(answering):
    _, client = answering
    body = {"name": "a", "positives": ["stranger-99"], "counts_when": ["picnic basket"]}
    client.post("/v1/audiences", json=body)
    failed = client.get("/v1/audiences").json()["data"][0]
    assert "stranger-99" in failed["error"]["detail"]

    told = client.delete("/v1/users/stranger-99", headers={"Authorization": "Bearer secret"}).json()

    assert told["known"] and told["left"] == []
    error = client.get(f"/v1/audiences/{failed['id']}").json()["error"]
    assert (error["code"], error["detail"]) == ("unknown_users", "users whom the request named were erased.")


def test_the_receipt_names_exports_that_receivers_have(tmp_path):
    store = AudienceStore(Database(tmp_path / "a.db"))
    exports = ExportStore(Database(tmp_path / "a.db"))
    for prefix in ("u", "v"):
        created, _ = store.create(new(), now="2024-06-01")
        store.claim()
        store.finish(created.id, made(3, prefix=prefix))
        sent = exports.create(created.id, url="https://r.example/in", format="csv", now="2024-06-02")
        exports.tried(sent.id, 1)

    told = exports.deliveries_of("u00001")

    assert [(each["created_at"], each["url"]) for each in told] == [("2024-06-02", "https://r.example/in")]


def test_the_command_erases_where_no_server_runs(tmp_path, capsys):
    published(tmp_path)
    (tmp_path / "stop.txt").write_text("someone\n")

    assert main(["erase", GONE, "--workdir", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert main(["erase", GONE, "--workdir", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)

    assert "index" in told and "written anew without the user: users_v1" in told
    assert "the source lake: the setting lake names none" in told
    assert GONE not in told
    assert not document["known"] and document["places"][0] == {
        "name": "index",
        "removed": 0,
        "unit": "rows",
        "compacted": "nothing to compact",
    }


def test_the_command_names_the_lake_and_the_suppression_list(tmp_path, capsys, monkeypatch):
    (tmp_path / "lake").mkdir()
    pq.write_table(pa.table({"user_id": [GONE]}), tmp_path / "lake" / "p.parquet")
    (tmp_path / "stop").write_text(f"{GONE}\n")
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("FOUND_SUPPRESSED_USERS", str(tmp_path / "stop"))

    main(["erase", GONE, "--workdir", str(tmp_path / "work"), "--lake", str(tmp_path / "lake")])

    told = capsys.readouterr().out
    assert "the source lake is its owner's; the user is still in these files of it:\n  p.parquet\n" in told
    assert f"the suppression list {tmp_path / 'stop'} names the user; it is its owner's" in told
    assert "the user was found nowhere; later runs leave the id out all the same" in told
    assert not (tmp_path / "work" / "milvus.db").exists(), "no index is made for it"


def test_what_cannot_be_read_is_in_the_receipt_and_stops_no_erasure(tmp_path):
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "lake.yaml").write_text("sources: 5")
    settings = Settings(
        workdir=str(tmp_path / "work"), lake=str(tmp_path / "lake"), suppressed_users=str(tmp_path / "gone")
    )

    told = " ".join(erase(settings, None, GONE).document()["not_searched"])

    assert f"tables that lie outside of {tmp_path / 'lake'}: its lake.yaml cannot be read" in told
    assert f"the suppression list {tmp_path / 'gone'}: " in told


def test_the_command_asks_the_server_that_owns_the_index(tmp_path, monkeypatch):
    asked = []

    def delete(url: str, *, key: str) -> dict[str, object]:
        asked.append((url, key))
        return {"known": True}

    monkeypatch.setattr(running, "server_of", lambda work: "http://127.0.0.1:1")
    monkeypatch.setattr(running, "delete", delete)

    assert erased_by_command(Settings(workdir=str(tmp_path), admin_key="secret"), "a/b c") == {"known": True}
    assert asked == [("http://127.0.0.1:1/v1/users/a%2Fb%20c", "secret")]
