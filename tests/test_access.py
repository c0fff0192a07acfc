"""Keys with roles, limits and the record: on the real app, whose model is nothing but arithmetic."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import ports
import psutil
import pytest
import uvicorn
from audience_doubles import USERS, VERSIONS, open_desk, published, serving
from fastapi.routing import APIRoute
from serving_doubles import user_name
from test_api import refused, wait_for

from feature_repo.contracts.settings import Settings
from serving.access import body
from serving.access.audit import AuditLog
from serving.access.errors import InvalidAccess, KeysMissing, KeyUnknown, RateLimited, ServedAlready, ServerBusy
from serving.access.guard import template_of
from serving.access.keys import Keys
from serving.access.limits import Places, Rate
from serving.access.loopback import is_loopback, keys_required
from serving.access.roles import OPEN, RULES, Role
from serving.app import create_app
from serving.cli import main
from serving.desk import Desk

PICNIC = {"demand": "a picnic basket", "size": 20}
JSON = {"Content-Type": "application/json"}
SECRET_WORDS = "zanzibar hovercraft eel 7f3a picnic"

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    return published(tmp_path_factory.mktemp("work"), require_keys="always", requests_per_minute=0)


@pytest.fixture(scope="module")
def keys(settings) -> dict[str, dict[str, str]]:
    """A header by role."""
    store = Keys(settings.work.keys)
    return {role.label: bearer(store.create(name=role.label, role=role.label)[1]) for role in Role}


@pytest.fixture(scope="module")
def client(settings, keys):
    with serving(settings) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def audited(settings: Settings) -> list[dict]:
    return [json.loads(line) for path in settings.work.audit.iterdir() for line in path.read_text().splitlines()]


def test_every_route_says_which_role_it_needs(settings, keys):
    app = create_app(settings, open_desk=open_desk)
    routes = {f"{m} {template_of(r)}" for r in app.routes if isinstance(r, APIRoute) for m in r.methods}

    assert routes == OPEN | set(RULES)


@pytest.mark.parametrize("route", sorted(RULES))
def test_a_route_answers_its_role_and_refuses_the_one_below(client, keys, route):
    method, path = route.split(" ")
    needed = RULES[route].role

    for role in Role:
        answer = client.request(method, path, json={}, headers=keys[role.label])
        if role < needed:
            problem = refused(answer, status=403, code="forbidden", told=f"takes the role {needed.label}")
            assert answer.headers["www-authenticate"].endswith(f'error="insufficient_scope", scope="{needed.label}"')
            assert problem["instance"] == path
        else:
            assert answer.status_code not in (401, 403) or answer.json()["code"] == "exports_disabled", answer.text


@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Basic dTpw"}, bearer(""), bearer("found_0_x"), bearer("é"), bearer("x" * 5000)]
)
def test_without_a_good_key_nothing_is_answered(client, given):
    for path in (*{route.split(" ")[1] for route in RULES}, "/v1/nothing"):
        answer = client.get(path, headers={name: value.encode() for name, value in given.items()})

        refused(answer, status=401, code="unauthorized", told="the key is not valid" if given else "carries no key")
        told = 'Bearer realm="found"' + (', error="invalid_token"' if given else "")
        assert answer.headers["www-authenticate"] == told


def test_probes_and_descriptions_need_no_key(client):
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs"):
        assert client.get(path).status_code == 200
        assert client.get(path, headers=bearer("wrong")).status_code == 200


def test_the_body_of_a_stranger_is_not_even_read(client):
    answer = client.post("/v1/audiences:target", content=b"{ no json", headers={"Content-Type": "application/json"})
    refused(answer, status=401, code="unauthorized", told="carries no key")


def test_a_key_is_kept_as_a_hash_and_ends_when_it_is_revoked(client, settings):
    store = Keys(settings.work.keys)
    made, text = store.create(name="for a while", role="viewer")
    assert text not in settings.work.keys.read_text() and text.split("_", 2)[2] not in settings.work.keys.read_text()
    assert stat.S_IMODE(settings.work.keys.stat().st_mode) == 0o600
    assert client.get("/v1/audiences", headers=bearer(text)).status_code == 200
    assert client.get("/v1/audiences", headers=bearer(text[:-1] + "!")).status_code == 401

    store.revoke(made.id)

    refused(client.get("/v1/audiences", headers=bearer(text)), status=401, code="unauthorized", told="not valid")
    with pytest.raises(KeyUnknown, match=f"no key '{made.id}' that is good"):
        store.revoke(made.id)


def test_keys_are_made_by_many_at_once(tmp_path):
    store = Keys(tmp_path / "access" / "keys.json")
    threads = [threading.Thread(target=store.create, kwargs={"name": "n", "role": "viewer"}) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.all()) == 16


@pytest.mark.parametrize(
    ("name", "role", "told"),
    [("n", "root", "a role is one of viewer, analyst, admin"), (" ", "viewer", "has 1 to 200")],
)
def test_what_is_no_key_is_not_made(tmp_path, name, role, told):
    with pytest.raises(InvalidAccess, match=told):
        Keys(tmp_path / "keys.json").create(name=name, role=role)


def test_a_file_of_keys_that_cannot_be_read_lets_nobody_in(tmp_path):
    path = tmp_path / "keys.json"
    for text in ("{", '[{"id": "x"}]', '[{"id":"x","name":"n","role":"root","created_at":"","hash":""}]'):
        path.write_text(text)
        os.utime(path, ns=(time.time_ns(), time.time_ns()))
        with pytest.raises(InvalidAccess, match="must hold the keys that `found keys` wrote"):
            Keys(path).holder("found_x_y")


def test_the_command_shows_a_key_once(tmp_path, capsys):
    assert main(["keys", "create", "--role", "viewer", "--name", "dashboards", "--workdir", str(tmp_path)]) == 0
    text, told = capsys.readouterr().out.splitlines()
    key_id = text.split("_")[1]
    assert told == f"(key {key_id}, role viewer: keep it now, it is not shown again)"

    main(["keys", "list", "--workdir", str(tmp_path)])
    listed = capsys.readouterr().out
    assert key_id in listed and "dashboards" in listed and text not in listed
    assert main(["keys", "revoke", key_id, "--workdir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"the key {key_id} (dashboards) is revoked\n"
    assert main(["keys", "revoke", "--workdir", str(tmp_path)]) == 2
    assert "needs the id of a key" in capsys.readouterr().err
    assert main(["keys", "list", "--tenant", "x", "--workdir", str(tmp_path)]) == 2
    assert "there is no tenant 'x'; there are default" in capsys.readouterr().err
    commands = [line["command"] for line in audited(Settings(workdir=str(tmp_path)))]
    assert commands == ["found keys create", "found keys revoke"]


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.8.8.8", True), ("0.0.0.0", False), ("", False)],
)
def test_keys_are_off_on_a_loopback_host_alone(tmp_path, host, alone):
    assert is_loopback(host) == alone
    settings = Settings(workdir=str(tmp_path), host=host)
    assert keys_required(settings) != alone and keys_required(replace(settings, require_keys="always"))
    if not alone:
        with pytest.raises(KeysMissing, match="this server needs keys: it can be reached from elsewhere"):
            create_app(settings, open_desk=open_desk)
        create_app(replace(settings, admin_key="secret"), open_desk=open_desk)
    with pytest.raises(InvalidAccess, match="require_keys is auto or always, found 'no'"):
        keys_required(replace(settings, require_keys="no"))


def test_on_a_loopback_host_everybody_is_an_analyst_but_no_admin(tmp_path):
    made = published(tmp_path)
    with serving(made) as client:
        assert client.post("/v1/audiences:target", json=PICNIC).status_code == 200
        refused(client.get("/v1/nothing"), status=404, code="not_found", told="Not Found")
        answer = client.post("/v1/admin/rollback")
        refused(answer, status=403, code="admin_disabled", told="started without an admin key")
        refused(client.get("/v1/audiences", headers=bearer("x")), status=401, code="unauthorized", told="not valid")
        _, text = Keys(made.work.keys).create(name="n", role="viewer")
        answer = client.post("/v1/audiences:target", json=PICNIC, headers=bearer(text))
        refused(answer, status=403, code="forbidden", told="takes the role analyst, the key has viewer")
        security = client.get("/openapi.json").json()["paths"]["/v1/audiences"]["get"]["security"]
        assert security == [{"key": []}, {}]


def test_the_admin_key_of_the_settings_is_an_admin(tmp_path):
    with serving(published(tmp_path, admin_key="open sesame", require_keys="always")) as client:
        answer = client.post("/v1/admin/rollback", headers=bearer("open sesame"))
        refused(answer, status=409, code="nothing_to_roll_back", told="no previous collection")
        refused(client.get("/v1/audiences", headers=bearer("open")), status=401, code="unauthorized", told="not valid")


def test_the_description_tells_of_keys_and_refusals(client):
    described = client.get("/openapi.json").json()

    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if f"{method.upper()} {path}" in OPEN:
                assert "security" not in operation
                continue
            assert operation["security"] == [{"key": []}]
            codes = ", ".join(operation["responses"][s]["description"] for s in ("401", "403", "413", "429"))
            for code in ("unauthorized", "forbidden", "body_too_large", "rate_limited", "server_busy"):
                assert code in codes


def test_a_bucket_holds_a_burst_and_fills_by_the_minute():
    now = 0.0
    rate = Rate(60, 3, clock=lambda: now)
    for _ in range(3):
        rate.take("a")
    with pytest.raises(RateLimited, match="may ask 60 times a minute, 3 times at once") as refusal:
        rate.take("a")
    assert refusal.value.headers == {"Retry-After": "1"}
    rate.take("b")
    now = 1.0
    rate.take("a")
    with pytest.raises(RateLimited):
        rate.take("a")
    now = 1000.0
    for _ in range(3):
        rate.take("a")
    with pytest.raises(RateLimited):
        rate.take("a")
    for _ in range(10_000):
        Rate(0, 1).take("a")


def test_a_key_that_asks_too_often_is_429_and_another_is_not(tmp_path):
    made = published(tmp_path, require_keys="always", requests_per_minute=6, request_burst=2)
    one, other = (bearer(Keys(made.work.keys).create(name="n", role="viewer")[1]) for _ in range(2))
    with serving(made) as client:
        answers = [client.get("/v1/audiences", headers=one) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        refused(answers[2], status=429, code="rate_limited", told="may ask 6 times a minute")
        assert 1 <= int(answers[2].headers["retry-after"]) <= 10
        assert client.get("/v1/audiences", headers=other).status_code == 200
        assert client.get("/healthz", headers=one).status_code == 200


def test_places_are_given_back_whatever_happens():
    places = Places(1)
    with places.one(), pytest.raises(ServerBusy, match="1 requests like this"), places.one():
        raise AssertionError
    with pytest.raises(ZeroDivisionError), places.one():
        _ = 1 / 0
    assert places.taken == 0


def test_more_than_may_wait_for_the_model_are_429_at_once_and_the_rest_still_answers(tmp_path, monkeypatch):
    go, asked = threading.Event(), threading.Semaphore(0)
    target = Desk.target

    def slow(*given, **more):
        asked.release()
        assert go.wait(30)
        return target(*given, **more)

    monkeypatch.setattr(Desk, "target", slow)
    with serving(published(tmp_path, queue_size=2)) as client:
        answers = []
        ask = [
            threading.Thread(target=lambda: answers.append(client.post("/v1/audiences:target", json=PICNIC)))
            for _ in range(3)
        ]
        for thread in ask:
            thread.start()
        for _ in ask:
            assert asked.acquire(timeout=30)

        began = time.perf_counter()
        refusals = [client.post("/v1/audiences:target", json=PICNIC) for _ in range(12)]

        assert time.perf_counter() - began < 5
        for refusal in refusals:
            refused(refusal, status=429, code="server_busy", told="3 requests like this are under way")
            assert refusal.headers["retry-after"] == "1"
        assert client.get("/v1/audiences").status_code == 200 and client.get("/healthz").status_code == 200
        go.set()
        for thread in ask:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 3


def test_a_body_is_read_no_further_than_is_allowed(client, keys, monkeypatch):
    monkeypatch.setattr(body, "MOST_BYTES", 1 << 20)
    sent = 0

    def pieces():
        nonlocal sent
        for _ in range(100):
            sent += 1 << 16
            yield b"x" * (1 << 16)

    told = "a request has at most 1 MiB"
    for content in (b"x" * (2 << 20), pieces()):
        for path in ("/v1/audiences:target", "/v1/seeds:parse"):
            headers = keys["analyst"] | {"Content-Type": "application/json"}
            answer = client.post(path, content=content, headers=headers)
            if isinstance(content, bytes) or path == "/v1/audiences:target":
                refused(answer, status=413, code="body_too_large", told=told)
    assert client.post("/v1/audiences:target", json=PICNIC, headers=keys["analyst"]).status_code == 200


def test_a_viewer_sees_figures_and_never_a_user(settings, tmp_path):
    made = published(tmp_path, require_keys="always", minimum_audience=15)
    viewer, analyst = (bearer(Keys(made.work.keys).create(name="n", role=r)[1]) for r in ("viewer", "analyst"))
    filters = [{"field": "age", "op": ">", "value": 22}]
    with serving(made) as client:
        seen = client.post("/v1/audiences:preview", json=PICNIC | {"filters": filters}, headers=viewer).json()
        full = client.post("/v1/audiences:preview", json=PICNIC | {"filters": filters}, headers=analyst).json()

        assert full["audience"]["users"] and full["eligible"] == USERS - 3
        assert seen == full | {"audience": full["audience"] | {"users": []}, "eligible": 30}
        answer = client.post("/v1/audiences:preview", json=PICNIC | {"exclude_users": ["u001"]}, headers=viewer)
        refused(answer, status=403, code="forbidden", told="may not name users to leave out")
        seeds = {"name": "n", "positives": [user_name(at) for at in range(8)] + ["eve"], "size": 15}
        stored = client.post("/v1/audiences", json=seeds, headers=analyst).json()
        assert stored["diagnostics"]["users"]
        shown = client.get(f"/v1/audiences/{stored['id']}", headers=viewer).json()
        assert shown == stored | {"diagnostics": stored["diagnostics"] | {"users": []}}
        lost = client.post("/v1/audiences", json=seeds | {"positives": ["mallory"]}, headers=analyst)
        assert "mallory" in lost.json()["detail"]
        assert "mallory" in client.get("/v1/audiences", headers=analyst).text
        for path in ("/v1/audiences", f"/v1/audiences/{stored['id']}"):
            assert "mallory" not in client.get(path, headers=viewer).text


def few(age: float) -> dict:
    return {"filters": [{"field": "age", "op": "<", "value": age}]}


def test_no_question_singles_out_fewer_users_than_the_minimum(tmp_path):
    with serving(published(tmp_path, minimum_audience=15)) as client:
        asked = {"demand": "a picnic basket", "size": 5}
        named = {"demand": "tea", "exclude_users": [user_name(at) for at in range(30)], "size": 5}
        everyone = client.post("/v1/audiences:target", json=asked | {"size": USERS}).json()["users"]
        unlikely = {"demand": "a picnic basket", "minimum_probability": everyone[9]["probability"] + 1e-9}
        seeds = {"positives": ["u001", "u005"], "size": 5}
        for path in ("target", "preview"):
            url = f"/v1/audiences:{path}"
            assert client.post(url, json=asked).status_code == 200
            assert client.post(url, json=asked | few(35)).status_code == 200
            for question in (asked | few(34), named, unlikely):
                told = "fewer than 15 users meet what was asked"
                refused(client.post(url, json=question), status=422, code="audience_too_small", told=told)
        assert client.post("/v1/audiences:lookalike", json=seeds).status_code == 200
        answer = client.post("/v1/audiences:lookalike", json=seeds | few(34))
        refused(answer, status=422, code="audience_too_small", told="fewer than 15 users")

        answer = client.post("/v1/audiences", json={"name": "n", "demand": "tea", "size": 14})
        refused(answer, status=422, code="audience_too_small", told="at least 15 users, asked for 14")
        answer = client.post("/v1/audiences", json={"name": "n", "demand": "tea", "size": 20} | few(34))
        refused(answer, status=422, code="audience_too_small", told="fewer than 15 users")
        one, most, other = (
            client.post("/v1/audiences", json={"name": "n", "demand": demand, "size": size}).json()["id"]
            for demand, size in (("picnic basket", 20), ("picnic basket", 30), ("picnic basket", 40))
        )
        hidden = client.post("/v1/audiences:compare", json={"audiences": [one, most]}).json()
        assert (hidden["both"], hidden["jaccard"], hidden["shares"]) == (None, None, None)
        shown = client.post("/v1/audiences:compare", json={"audiences": [one, other]}).json()
        assert (shown["both"], shown["jaccard"], shown["shares"]) == (20, 0.5, [1.0, 0.5])


def test_no_answer_of_the_api_is_kept_by_a_cache(client, keys):
    for path, status in (("/v1/audiences", 200), ("/v1/users/nobody/features", 404), ("/v1/nothing", 404)):
        answer = client.get(path, headers=keys["admin"])
        assert answer.status_code == status
        assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert client.get("/page/page.js").headers["Cache-Control"] == "no-cache"


def test_the_record_says_who_did_what_and_never_what_was_typed(client, settings, keys):
    before = len(audited(settings))
    typed = {"demand": SECRET_WORDS, "size": 20, "exclude_users": ["secret-user-1"]}
    stored = client.post("/v1/audiences", json=typed | {"name": "n"}, headers=keys["analyst"]).json()
    client.delete(f"/v1/audiences/{stored['id']}", headers=keys["analyst"])
    client.post("/v1/audiences:target", json=typed, headers=keys["analyst"])
    client.post("/v1/audiences:target", json=typed, headers=keys["viewer"])
    client.get("/v1/users/secret-user-1/features", headers=keys["analyst"])
    client.get("/v1/audiences/secret-user-1", headers=keys["viewer"])
    client.get(f"/v1/{SECRET_WORDS}", headers=keys["viewer"])
    client.get("/v1/audiences", headers=bearer(SECRET_WORDS))

    lines = audited(settings)[before:]

    by_id = {key.id: key.role for key in Keys(settings.work.keys).all()}
    assert all(line["role"] == by_id.get(line["key"], "viewer") and line["tenant"] == "default" for line in lines)
    assert all(line["ms"] >= 0 and datetime.fromisoformat(line["time"]).tzinfo == UTC for line in lines)
    told = [(line["route"], line["status"], line.get("audience"), line.get("size")) for line in lines]
    assert told == [
        ("POST /v1/audiences", 200, stored["id"], 20),
        ("DELETE /v1/audiences/{audience_id}", 200, stored["id"], 20),
        ("POST /v1/audiences:target", 200, None, 20),
        ("POST /v1/audiences:target", 403, None, None),
        ("GET /v1/users/{user_id}/features", 404, None, None),
        ("GET /v1/audiences/{audience_id}", 404, None, None),
        ("", 404, None, None),
        ("GET /v1/audiences", 401, None, None),
    ]
    assert {name: lines[0][name] for name in VERSIONS} == VERSIONS
    for path in settings.work.root.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert SECRET_WORDS.encode() not in held and b"hovercraft" not in held, path
            assert b"secret-user-1" not in held, path


def test_strangers_fill_no_record_beyond_the_rate_of_one_key(tmp_path):
    settings = published(tmp_path, require_keys="always", requests_per_minute=60, request_burst=5)
    Keys(settings.work.keys).create(name="k", role="viewer")
    with serving(settings) as client:
        statuses = {client.get("/v1/audiences", headers=bearer("x")).status_code for _ in range(20)}

    assert statuses == {401} and 5 <= len(audited(settings)) < 10


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("LOCALHOST", 200),
        ("evil.example:8080", 421),
        ("", 421),
        ("[::1", 421),
    ],
)
def test_without_keys_a_page_of_another_name_reads_nothing(tmp_path, host, status):
    """A foreign name is asked for by a page that lets its own name point here."""
    with serving(published(tmp_path)) as client:
        answer = client.get("/v1/audiences", headers={"Host": host})
        assert client.get("/healthz", headers={"Host": host}).status_code == 200

    if status == 200:
        assert answer.status_code == 200
    else:
        refused(answer, status=421, code="other_host", told="answers without keys, and to its own name alone")


def test_a_second_server_of_a_work_directory_does_not_start(tmp_path, monkeypatch):
    monkeypatch.setattr("serving.access.tenants._PATIENCE_SECONDS", 0.1)
    settings = published(tmp_path)
    with serving(settings):
        with pytest.raises(ServedAlready, match="another server runs on"), serving(settings):
            pass
    with serving(settings) as client:
        assert client.get("/v1/audiences").status_code == 200


def test_the_command_of_a_second_server_says_so_in_one_line(tmp_path):
    command = [sys.executable, "-m", "serving.cli", "serve", "--workdir", str(tmp_path), "--port", str(ports.unused())]
    with serving(published(tmp_path)):
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)

    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: another server runs on")


def test_who_sends_no_key_learns_that_a_server_is_not_ready_and_no_more(tmp_path):
    settings = Settings(workdir=str(tmp_path), require_keys="always")
    key = bearer(Keys(settings.work.keys).create(name="k", role="viewer")[1])
    with serving(settings) as client:
        for headers, told in (({}, "no tenant of this server can be answered"), (key, "is published under the alias")):
            refused(client.get("/readyz", headers=headers), status=503, code="index_missing", told=told)


def test_a_fault_of_the_server_is_recorded_as_one(client, settings, keys, monkeypatch):
    monkeypatch.setattr(Desk, "features_of", lambda *_: 1 / 0)
    assert client.get("/v1/users/u001/features", headers=keys["analyst"]).status_code == 500
    assert audited(settings)[-1]["status"] == 500


def test_the_record_is_one_file_a_day_that_nobody_else_reads(tmp_path, monkeypatch, caplog):
    from serving.access import audit

    log = AuditLog(tmp_path / "audit")
    log.write(route="a")
    monkeypatch.setattr(audit, "datetime", Tomorrow)
    log.write(route="b")
    log.close()

    days = sorted(tmp_path.glob("audit/*.jsonl"))
    assert [json.loads(day.read_text())["route"] for day in days] == ["a", "b"]
    assert all(stat.S_IMODE(day.stat().st_mode) == 0o600 for day in days)
    blocked = tmp_path / "file"
    blocked.write_text("")
    log = AuditLog(blocked)
    log.write(route="c")
    log.close()
    assert "cannot be written" in caplog.text


class Tomorrow(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime(2099, 1, 1, tzinfo=tz)


@pytest.fixture
def port() -> int:
    return ports.unused()


def test_five_times_too_many_questions_are_429_quickly_and_cost_no_memory(tmp_path, port, monkeypatch):
    """A real server whose model takes 20 ms, eight places, forty clients with large bodies: memory stays as it was."""
    target = Desk.target

    def slow(*given, **more):
        time.sleep(0.02)
        return target(*given, **more)

    monkeypatch.setattr(Desk, "target", slow)
    made = published(tmp_path, queue_size=7, port=port)
    asked = PICNIC | {"exclude_users": [f"user-{at:0200}" for at in range(5_000)]}
    app = create_app(made, open_desk=open_desk)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        content = json.dumps(asked).encode()
        httpx.post(f"http://127.0.0.1:{port}/v1/audiences:target", content=content, headers=JSON, timeout=30)
        before = psutil.Process().memory_info().rss
        took: dict[int, list[float]] = {200: [], 429: []}

        def ask() -> None:
            with httpx.Client(timeout=30) as client:
                for _ in range(4):
                    began = time.perf_counter()
                    answer = client.post(f"http://127.0.0.1:{port}/v1/audiences:target", content=content, headers=JSON)
                    took[answer.status_code].append(time.perf_counter() - began)

        clients = [threading.Thread(target=ask) for _ in range(40)]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
        grown = psutil.Process().memory_info().rss - before
    finally:
        server.should_exit = True
        thread.join()

    assert len(took[200]) + len(took[429]) == 160 and len(took[429]) > 80 and len(took[200]) >= 8
    assert sorted(took[429])[len(took[429]) // 2] < 0.5
    assert grown < 150 << 20, f"{grown >> 20} MiB"
