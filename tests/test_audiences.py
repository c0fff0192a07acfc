"""The routes of stored audiences: real Milvus Lite, Feast and SQLite, a model that is nothing but arithmetic."""

import csv
import io
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from audience_doubles import USERS, VERSIONS, made, published, serving
from serving_doubles import TEXTS, user_name
from test_api import refused

from serving.audiences import store as stores
from serving.audiences.database import Database
from serving.audiences.holdout import drawn
from serving.audiences.store import AudienceStore
from serving.cli import main
from serving.desk import Desk
from serving.errors import FeaturesUnreachable, IndexUnreachable

LUNCH = [user_name(at) for at in range(2, USERS, len(TEXTS))]
PICNIC = [user_name(at) for at in range(0, USERS, len(TEXTS))]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return published(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def client(settings):
    with serving(settings) as client:
        yield client


def created(client, **asked) -> dict:
    answer = client.post("/v1/audiences", json={"name": "a", "demand": "a picnic basket", "size": 10} | asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_audience_is_what_the_unstored_route_answers(client):
    asked = {"demand": "a picnic basket", "size": 10, "minimum_probability": 0.1}
    answer = client.post("/v1/audiences:target", json=asked).json()
    direct = answer["users"]

    audience = created(client, name="Picnic, June", **asked)

    assert audience["id"].startswith("aud_") and audience["name"] == "Picnic, June"
    assert {name: audience[name] for name in VERSIONS} == VERSIONS
    assert (audience["status"], audience["progress"], audience["kind"], audience["size"]) == ("ready", 1, "target", 10)
    unasked = {"sentences": None, "conditions": None, "filters": [], "counts_when": []}
    assert audience["request"] == asked | unasked and audience["demand"] == "a picnic basket"
    assert audience["horizon_days"] == 30 and audience["backtest"] is None and audience["error"] is None
    assert audience["why"] == answer["why"] and audience["why"][0]["said"] == "basket"
    lines = client.get(f"/v1/audiences/{audience['id']}/members?format=jsonl").text.splitlines()
    members = [json.loads(line) for line in lines]
    assert [m["rank"] for m in members] == list(range(1, 11))
    assert [(m["user_id"], m["score"], m["probability"]) for m in members] == [
        (user["user_id"], user["score"], user["probability"]) for user in direct
    ]
    assert audience["prediction"]["expected"] == pytest.approx(sum(user["probability"] for user in direct))
    assert audience["prediction"]["low"] <= audience["prediction"]["expected"] <= audience["prediction"]["high"]


def test_filters_and_excluded_users_are_kept_and_obeyed(client):
    filters = [{"field": "age", "op": ">", "value": 35}]
    asked = {"demand": "a picnic basket", "size": 30, "exclude_users": PICNIC[-3:], "filters": filters}
    direct = client.post("/v1/audiences:target", json=asked)
    assert direct.status_code == 200, direct.text

    audience = created(client, **asked)

    lines = client.get(f"/v1/audiences/{audience['id']}/members?format=jsonl").text.splitlines()
    members = [json.loads(line)["user_id"] for line in lines]
    assert members == [user["user_id"] for user in direct.json()["users"]] and not set(members) & set(
        [*PICNIC[-3:], *PICNIC[:4]]
    )
    assert audience["request"]["filters"] == filters and "exclude_users" not in audience["request"]


def test_what_cannot_be_counted_says_why(client):
    counts = created(client)["counts"]
    assert counts["method"] == "unknown" and "the demand cannot be read" in counts["reason"]
    seeds = created(client, positives=LUNCH[:5], demand="")["counts"]
    assert seeds["reason"] == "seeds without a demand do not say what counts: state it as counts_when"
    edited = created(client, sentences=[{"text": "lunch"}])["counts"]
    assert edited["reason"] == "sentences were given, not read from the demand: state counts_when"


def test_stated_texts_count_and_must_be_texts_of_the_lake(client):
    counts = created(client, counts_when=["picnic basket", "The user did nothing"])["counts"]
    assert counts["method"] == "stated"
    assert counts["groups"][0][0]["needs"][0]["texts"] == ["picnic basket", "The user did nothing"]

    answer = client.post("/v1/audiences", json={"name": "a", "demand": "x", "counts_when": ["picnic bascet"]})
    refused(answer, status=422, code="unknown_texts", told="the lake has no text 'picnic bascet'")


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_every_format_reads_back_equal_without_the_hold_out(client, monkeypatch, format):
    monkeypatch.setattr(stores, "_PAGE", 7)
    audience = created(client, size=30, holdout_share=0.2)

    answer = client.get(f"/v1/audiences/{audience['id']}/members", params={"format": format})

    read = {
        "csv": lambda: [
            {**row, "rank": int(row["rank"]), "score": float(row["score"]), "probability": float(row["probability"])}
            for row in csv.DictReader(io.StringIO(answer.text))
        ],
        "jsonl": lambda: [json.loads(line) for line in answer.text.splitlines()],
        "parquet": lambda: pq.read_table(io.BytesIO(answer.content)).to_pylist(),
    }[format]()
    everyone = client.post("/v1/audiences:target", json={"demand": "a picnic basket", "size": 30}).json()["users"]
    held_out = drawn([user["user_id"] for user in everyone], 0.2, salt=audience["id"])
    assert len(held_out) == audience["held_out"] == 6
    assert read == [
        {"rank": at, **{name: user[name] for name in ("user_id", "score", "probability")}}
        for at, user in enumerate(everyone, start=1)
        if user["user_id"] not in held_out
    ]
    assert answer.headers["found-model-version"] == "v1"
    assert answer.headers["content-disposition"] == f'attachment; filename="{audience["id"]}.{format}"'
    if format == "parquet":
        assert pq.read_schema(io.BytesIO(answer.content)).metadata[b"found_collection"] == b"users_v1"
    again = client.get(f"/v1/audiences/{audience['id']}/members", params={"format": format})
    assert again.content == answer.content


def test_an_audience_of_nobody_is_an_empty_file(client):
    audience = created(client, minimum_probability=1.0)
    assert (audience["size"], audience["prediction"]["expected"]) == (0, 0.0)
    for format, empty in (("csv", b"rank,user_id,score,probability\r\n"), ("jsonl", b"")):
        assert client.get(f"/v1/audiences/{audience['id']}/members", params={"format": format}).content == empty
    content = client.get(f"/v1/audiences/{audience['id']}/members", params={"format": "parquet"}).content
    assert pq.read_table(io.BytesIO(content)).num_rows == 0


def test_pages_list_rename_and_delete(client):
    names = [created(client, name=f"page {at}")["id"] for at in range(5)]

    seen, cursor = [], None
    while True:
        page = client.get("/v1/audiences", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [audience["id"] for audience in page["data"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert seen[:5] == names[::-1] and len(seen) == len(set(seen)) and cursor is None

    renamed = client.patch(f"/v1/audiences/{names[0]}", json={"name": "another"}).json()
    assert renamed["name"] == "another" == client.get(f"/v1/audiences/{names[0]}").json()["name"]
    assert client.delete(f"/v1/audiences/{names[0]}").json() == {"id": names[0], "deleted": True, **VERSIONS}
    for answer in (
        client.get(f"/v1/audiences/{names[0]}"),
        client.delete(f"/v1/audiences/{names[0]}"),
        client.patch(f"/v1/audiences/{names[0]}", json={"name": "x"}),
        client.get(f"/v1/audiences/{names[0]}/members"),
        client.get(f"/v1/audiences/{names[0]}/exports"),
        client.post(f"/v1/audiences/{names[0]}:cancel"),
        client.post("/v1/audiences:compare", json={"audiences": [names[0], names[1]]}),
    ):
        refused(answer, status=404, code="audience_not_found", told=f"there is no audience '{names[0]}'")


@pytest.mark.parametrize("cursor", ["x", "####", "é", "bm8", "LTE", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"])
def test_a_cursor_that_no_page_gave_is_refused(client, cursor):
    answer = client.get("/v1/audiences", params={"cursor": cursor})
    refused(answer, status=422, code="invalid_cursor", told=f"{cursor!r} is no cursor")


def test_two_audiences_are_compared(client):
    one, other = created(client, size=10)["id"], created(client, size=20)["id"]
    told = client.post("/v1/audiences:compare", json={"audiences": [one, other]}).json()
    assert (told["both"], told["jaccard"], told["shares"]) == (10, 0.5, [1.0, 0.5])
    assert [audience["id"] for audience in told["audiences"]] == [one, other]
    nobody = created(client, minimum_probability=1.0)["id"]
    told = client.post("/v1/audiences:compare", json={"audiences": [nobody, nobody]}).json()
    assert (told["both"], told["jaccard"], told["shares"]) == (0, 0.0, [0.0, 0.0])


def test_a_request_that_is_repeated_with_its_key_makes_nothing_twice(client):
    body = {"name": "once", "demand": "lunch", "size": 3}
    first = client.post("/v1/audiences", json=body, headers={"Idempotency-Key": "k1"})
    again = client.post("/v1/audiences", json=body, headers={"Idempotency-Key": "k1"})

    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers and again.headers["idempotent-replayed"] == "true"
    answer = client.post("/v1/audiences", json=body | {"size": 4}, headers={"Idempotency-Key": "k1"})
    refused(answer, status=409, code="idempotency_conflict", told="the key 'k1' was sent with another request")


def test_seeds_are_looked_at_and_the_unknown_left_out(client):
    audience = created(client, positives=[*LUNCH[:8], "eve"], negatives=PICNIC[:3], demand="", size=2)

    direct = {"positives": LUNCH[:8], "negatives": PICNIC[:3], "size": 2}
    expected = client.post("/v1/audiences:lookalike", json=direct).json()["users"]
    found = client.get(f"/v1/audiences/{audience['id']}/members?format=jsonl").text.splitlines()
    assert [json.loads(line)["user_id"] for line in found] == [user["user_id"] for user in expected]
    assert audience["diagnostics"]["users"] == [{"user_id": "eve", "note": "unknown"}]
    assert [finding["code"] for finding in audience["diagnostics"]["findings"]] == ["unknown_users"]
    assert audience["diagnostics"]["figures"]["separation"] == 1.0
    assert audience["request"] == {"demand": "", "filters": [], "size": 2, "counts_when": []}


@pytest.mark.parametrize(
    ("asked", "status", "code", "told"),
    [
        ({"demand": "x"}, 422, "invalid_request", "body.target.name: Field required"),
        ({"name": "a"}, 422, "empty_demand", "a demand must be a sentence, found an empty one"),
        ({"name": "a", "demand": "x", "sise": 1}, 422, "invalid_request", "Extra inputs are not permitted"),
        ({"name": "a", "demand": "x", "holdout_share": 0.6}, 422, "invalid_request", "less than or equal to 0.5"),
        ([], 422, "invalid_request", "body"),
        ({"name": "a", "positives": []}, 422, "no_seeds", "needs positive seeds, found none"),
        ({"name": "a", "positives": ["u1"], "negatives": ["u1"]}, 422, "contradicting_seeds", "as both: ['u1']"),
        ({"name": "a", "positives": ["eve", "bob"]}, 404, "unknown_users", "none of the positive seeds 'eve', 'bob'"),
        ({"name": "a", "positives": ["u001"], "size": 16_384}, 422, "audience_too_large", "at most 16384 users"),
    ],
)
def test_what_cannot_be_made_is_refused(client, asked, status, code, told):
    refused(client.post("/v1/audiences", json=asked), status=status, code=code, told=told)


def test_a_failed_audience_keeps_its_reason_and_has_no_members(client):
    client.post("/v1/audiences", json={"name": "fails", "positives": ["eve"]})
    (failed, *_) = client.get("/v1/audiences", params={"status": "failed"}).json()["data"]
    assert failed["name"] == "fails" and failed["error"]["code"] == "unknown_users" and failed["error"]["hint"]
    answer = client.get(f"/v1/audiences/{failed['id']}/members")
    refused(answer, status=409, code="audience_not_ready", told=f"{failed['id']} is failed")
    answer = client.post(f"/v1/audiences/{failed['id']}:cancel")
    refused(answer, status=409, code="audience_finished", told="is failed: there is nothing to cancel")


@pytest.fixture
def slow(monkeypatch):
    """The desk answers when it is let go."""
    go, entered = threading.Event(), threading.Event()
    real = Desk.target

    def target(self, *args, **asked):
        entered.set()
        assert go.wait(30)
        return real(self, *args, **asked)

    monkeypatch.setattr(Desk, "target", target)
    yield go, entered
    go.set()


def wait_for(client, name: str, status: str) -> dict:
    until = time.monotonic() + 30
    while (found := client.get(f"/v1/audiences/{name}").json())["status"] != status:
        assert time.monotonic() < until, found
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("gone", [IndexUnreachable("Milvus is away."), FeaturesUnreachable("Redis is away.")])
def test_audiences_wait_for_an_engine_that_cannot_be_reached(client, monkeypatch, gone):
    real, away = Desk.target, threading.Event()
    away.set()

    def target(self, *args, **asked):
        if away.is_set():
            raise gone
        return real(self, *args, **asked)

    monkeypatch.setattr(Desk, "target", target)
    monkeypatch.setattr("serving.audiences.jobs.POLL_SECONDS", 0.05)
    answers = [client.post("/v1/audiences?wait_seconds=0.2", json={"name": "w", "demand": "x"}) for _ in range(2)]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(202, "queued")] * 2

    away.clear()
    for answer in answers:
        wait_for(client, answer.json()["id"], "ready")


def test_a_long_job_is_202_tells_its_progress_and_can_be_cancelled(client, slow):
    go, entered = slow
    asked = {"name": "slow", "demand": "x"}
    answers = [client.post("/v1/audiences", params={"wait_seconds": 0}, json=asked) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3
    running, cancelled, queued = (answer.json()["id"] for answer in answers)
    assert entered.wait(30)

    found = client.get(f"/v1/audiences/{running}").json()
    assert (found["status"], found["progress"], found["model_version"], found["size"]) == ("running", 0.1, "", 0)
    assert client.post(f"/v1/audiences/{cancelled}:cancel").json()["status"] == "cancelled"
    assert client.post(f"/v1/audiences/{running}:cancel").json()["status"] == "cancelled"
    go.set()

    assert wait_for(client, queued, "ready")["progress"] == 1
    assert client.get(f"/v1/audiences/{running}").json()["status"] == "cancelled"
    assert client.get(f"/v1/audiences/{cancelled}").json()["status"] == "cancelled"


def test_a_full_queue_is_429_with_retry_after(client, slow, monkeypatch):
    monkeypatch.setattr(stores, "MOST_WAITING", 1)
    asked = {"name": "slow", "demand": "x"}
    first = client.post("/v1/audiences", params={"wait_seconds": 0}, json=asked).json()["id"]
    answer = client.post("/v1/audiences", json=asked)
    refused(answer, status=429, code="queue_full", told="1 audiences are being made or wait, no more than 1 may")
    assert answer.headers["retry-after"] == "10"
    slow[0].set()
    wait_for(client, first, "ready")


def test_a_server_goes_on_with_what_another_had_begun(tmp_path):
    settings = published(tmp_path)
    store = AudienceStore(Database(settings.work.audiences))
    from audience_doubles import NOW, new

    queued, running = (store.create(new(name), now=NOW)[0].id for name in ("one", "two"))
    store.claim()
    with serving(settings) as client:
        assert wait_for(client, queued, "ready")["size"] == wait_for(client, running, "ready")["size"] == 5


def test_a_fault_tells_nothing_of_its_inside_and_the_log_nothing_of_the_sentence(client, monkeypatch, caplog):
    def broken(self, demand, **_):
        raise ValueError(f"cannot read {demand}")

    monkeypatch.setattr(Desk, "target", broken)
    with caplog.at_level(logging.DEBUG):
        answer = client.post("/v1/audiences", json={"name": "a", "demand": "my secret sentence"})
    problem = refused(answer, status=500, code="internal_error", told="failed to make the audience")
    assert "secret" not in str(problem) and "secret" not in caplog.text
    assert "failed with ValueError" in caplog.text


def test_uploaded_seeds_come_back_as_lists(client):
    answer = client.post("/v1/seeds:parse", content=b"user_id,label\nu1,1\nu2,0\nu1,1\n,1\n")
    assert answer.json() == {
        "positives": ["u1"],
        "negatives": ["u2"],
        "rows": 4,
        "empty": 1,
        "duplicates": 1,
        "left_out": 0,
    }
    answer = client.post("/v1/seeds:parse", params={"column": "customer"}, content=b"user_id\nu1\n")
    refused(answer, status=422, code="invalid_seed_file", told="has no column 'customer'; it has 'user_id'")
    answer = client.post("/v1/seeds:parse", content=b"u\n" * (5 << 20))
    refused(answer, status=413, code="seed_file_too_large", told="a seed file has at most 8 MiB")


def test_exports_need_a_server_that_allows_them(client):
    name = created(client)["id"]
    answer = client.post(f"/v1/audiences/{name}/exports", json={"url": "https://crm.example.com/x"})
    refused(answer, status=403, code="exports_disabled", told="without hosts to export to or without a secret")
    assert client.get(f"/v1/audiences/{name}/exports").json() == {"data": []}


def test_the_command_line_reads_the_store_beside_a_running_server(client, settings, tmp_path, capsys):
    work = ["--workdir", settings.workdir]
    name = created(client, name="by command", size=10, holdout_share=0.3)["id"]

    assert main(["audiences", "list", *work]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if name in line)
    assert line.split()[1:6] == ["by", "command", "ready", "10", line.split()[5]]
    assert main(["audiences", "show", name, *work]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "by command"
    assert main(["audiences", "export", name, "--format", "csv", "--out", str(tmp_path / "a.csv"), *work]) == 0
    assert f"7 users written to {tmp_path / 'a.csv'}, 3 are held out" in capsys.readouterr().err
    assert (tmp_path / "a.csv").read_bytes() == client.get(f"/v1/audiences/{name}/members").content
    assert main(["audiences", "delete", name, *work]) == 0
    assert f"{name} (by command, 10 users) is deleted" in capsys.readouterr().out
    assert client.get(f"/v1/audiences/{name}").status_code == 404
    assert main(["audiences", "show", name, *work]) == 2
    assert f"error: there is no audience '{name}'." in capsys.readouterr().err
    assert main(["audiences", "show", *work]) == 2
    assert "`found audiences show` needs the id of an audience" in capsys.readouterr().err
    assert main(["audiences", "list", "--workdir", str(tmp_path)]) == 2
    assert "no audience was stored in" in capsys.readouterr().err


def test_what_is_not_ready_is_not_exported_by_command_either(tmp_path, capsys):
    from audience_doubles import NOW, new

    settings = replace(published(tmp_path), export_hosts="")
    store = AudienceStore(Database(settings.work.audiences))
    name = store.create(new(), now=NOW)[0].id
    assert main(["audiences", "export", name, "--workdir", settings.workdir]) == 2
    assert f"the audience {name} is queued." in capsys.readouterr().err
    store.claim()
    store.finish(name, made())
    assert main(["audiences", "list", "--workdir", settings.workdir]) == 0


HOSTILE = (
    "\x00",
    "\ud800",
    "'; DROP TABLE audiences; --",
    "\u202e",
    "\r\nX: y",
    "\U0001f9fa" * 50,
    "%00",
    "../..",
    "{0}",
    "a" * 201,
)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_text_in_any_field_breaks_the_server_or_another_audience(client, text):
    kept = created(client, name="kept")["id"]
    quoted = json.dumps(text)
    bodies = (
        f'{{"name": {quoted}, "demand": "x", "size": 2}}',
        f'{{"name": "a", "demand": {quoted}, "size": 2}}',
        f'{{"name": "a", "demand": "x", "counts_when": [{quoted}]}}',
        f'{{"name": "a", "positives": [{quoted}]}}',
        f'{{"name": "a", "positives": ["u001"], "negatives": [{quoted}], "size": 2}}',
    )
    answers = [
        client.post("/v1/audiences", content=body, headers={"Content-Type": "application/json"}) for body in bodies
    ]
    spelt = text.encode("utf-8", "surrogatepass")
    answers += [
        client.get("/v1/audiences", params={"cursor": spelt}),
        client.get("/v1/audiences", params={"status": spelt}),
        client.post("/v1/audiences", json={"name": "a", "demand": "x"}, headers={"Idempotency-Key": spelt.hex()}),
        client.post("/v1/audiences:compare", content=f'{{"audiences": [{quoted}, {quoted}]}}'),
        client.post("/v1/seeds:parse", params={"column": spelt}, content=spelt),
        client.patch(f"/v1/audiences/{kept}", content=f'{{"name": {quoted}}}'),
    ]
    for answer in answers:
        assert answer.status_code < 500, answer.text
        if answer.status_code == 200 and "id" in answer.json() and answer.json()["name"] == text:
            assert client.get(f"/v1/audiences/{answer.json()['id']}").json()["name"] == text
    assert client.get(f"/v1/audiences/{kept}").status_code == 200


def test_many_clients_at_once_each_get_their_own_audience(client):
    with ThreadPoolExecutor(12) as pool:
        made = list(pool.map(lambda at: created(client, name=f"at once {at}", size=at + 1), range(12)))
    assert [(audience["name"], audience["size"]) for audience in made] == [
        (f"at once {at}", at + 1) for at in range(12)
    ]
    assert len({audience["id"] for audience in made}) == 12
