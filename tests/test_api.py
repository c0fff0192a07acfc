"""The API on a real Milvus Lite and a real Feast online store, with a model that is nothing but arithmetic."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import numpy as np
import ports
import pytest
import uvicorn
from audience_doubles import USERS, VERSIONS, open_desk, serving
from fastapi.testclient import TestClient
from serving_doubles import (
    DAY,
    TEXTS,
    WordModel,
    bought,
    embedded,
    user_name,
    user_vector,
    words_vector,
    write_embeddings,
    write_features,
)

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from serving import running
from serving.app import create_app
from serving.ask import render
from serving.desk import Desk
from serving.errors import ServerRefused
from serving.index import open_index
from serving.publish import publish
from serving.question import MOST_EXPLAINED

KEY = "open sesame"
ADMIN = {"Authorization": f"Bearer {KEY}"}
PICNIC = {user_name(at) for at in range(0, USERS, len(TEXTS))}
LUNCH = sorted(user_name(at) for at in range(2, USERS, len(TEXTS)))
STORED = (
    "/v1/audiences",
    "/v1/audiences/{audience_id}",
    "/v1/audiences/{audience_id}:cancel",
    "/v1/audiences/{audience_id}/members",
    "/v1/audiences/{audience_id}/reasons",
    "/v1/audiences/{audience_id}/exports",
    "/v1/audiences:compare",
    "/v1/seeds:parse",
    "/v1/receivers",
)
PAGE = ("/v1/examples", "/v1/map", "/v1/audiences/{audience_id}/map")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A work directory with forty published users."""
    settings = Settings(workdir=str(tmp_path_factory.mktemp("work")), admin_key=KEY, minimum_audience=0)
    write_embeddings(settings.work, DAY, embedded(USERS), texts=bought(USERS))
    write_features(settings, DAY, USERS)
    with open_index(settings) as index:
        publish(index, settings.work, DAY)
    return settings


@pytest.fixture(scope="module")
def client(settings):
    with serving(settings) as client:
        yield client


@pytest.fixture
def fresh(tmp_path):
    """A server on a work directory where nothing is published, and its settings."""
    settings = Settings(workdir=str(tmp_path), admin_key=KEY)
    with serving(settings) as client:
        yield client, settings


@pytest.fixture
def unused_port() -> int:
    return ports.unused()


def wait_for(condition, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the server did not start"
        time.sleep(0.2)


def refused(answer: httpx.Response, *, status: int, code: str, told: str) -> dict:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert set(problem) == {"type", "title", "status", "detail", "instance", "code", "hint"}
    assert told in problem["detail"] and problem["hint"]
    return problem


def test_a_sentence_gives_users_with_probabilities_reasons_and_versions(client):
    answer = client.post("/v1/audiences:target", json={"demand": "a picnic basket", "size": 5})

    assert answer.status_code == 200
    audience = answer.json()
    assert {name: audience[name] for name in VERSIONS} == VERSIONS
    assert (audience["demand"], audience["negatives"]) == ("a picnic basket", [])
    assert len(audience["users"]) == 5 and {user["user_id"] for user in audience["users"]} <= PICNIC
    scores = [user["score"] for user in audience["users"]]
    assert scores == sorted(scores, reverse=True)
    for user in audience["users"]:
        assert user["probability"] == pytest.approx(1 / (1 + np.exp(-user["score"])))
        reason = user["reasons"][0]
        assert (reason["text"], reason["source"], reason["count"]) == ("picnic basket", "bills", 1)
        assert reason["last_day"] == "2024-05-31"
        assert 0.01 < reason["probability_effect"] < reason["effect"] < np.log1p(2)


def test_so_many_users_are_explained_as_are_asked_for(client):
    def explained(kind, **asked):
        audience = client.post(f"/v1/audiences:{kind}", json={"size": len(PICNIC), **asked}).json()
        return sum(bool(user["reasons"]) for user in audience["users"]), bool(audience["why"])

    assert [explained("target", demand="picnic basket", explain=count) for count in (0, 1, 3)] == [
        (0, False), (1, True), (3, True),
    ]  # fmt: skip
    assert [explained("lookalike", positives=LUNCH[:2], explain=count)[0] for count in (0, 2)] == [0, 2]
    refused(
        client.post("/v1/audiences:target", json={"demand": "picnic", "explain": MOST_EXPLAINED + 1}),
        status=422, code="invalid_request", told="explain",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["target", "preview"])
def test_an_audience_says_what_its_members_did_more_than_others(client, kind):
    answer = client.post(f"/v1/audiences:{kind}", json={"demand": "picnic basket", "size": len(PICNIC)}).json()

    told = {(trait["kind"], trait["said"]): trait for trait in answer.get("audience", answer)["why"]}
    assert set(told) == {("word", "picnic"), ("word", "basket"), ("text", "picnic basket")}
    assert all((trait["members"], trait["others"]) == (1.0, 0.0) and trait["lift"] > 5 for trait in told.values())
    assert (
        "words they have more: basket (100%, others 0%); picnic (100%, others 0%)\n"
        "texts they have more: picnic basket (100%, others 0%)"
    ) in render(answer.get("audience", answer), "audience")


def test_a_calibrated_model_says_how_many_users_to_expect(client, monkeypatch):
    asked = {"demand": "a picnic basket", "size": USERS}
    assert client.post("/v1/audiences:target", json=asked).json()["expected"] is None
    read = WordModel.read_demands
    monkeypatch.setattr(WordModel, "read_demands", lambda *asked: [replace(d, spread=0.4) for d in read(*asked)])

    found = client.post("/v1/audiences:target", json=asked).json()

    probabilities = [user["probability"] for user in found["users"]]
    assert len(probabilities) == USERS and found["expected"]["size"] == pytest.approx(sum(probabilities))
    assert 0 < found["expected"]["low"] < found["expected"]["size"] < found["expected"]["high"] <= USERS
    assert "25 users are expected to do it (80 %: 14 to 40)" in render(
        found | {"expected": {"size": 25.2, "low": 14.1, "high": 40.0}}, "audience"
    )


def test_the_texts_of_a_history_rank_what_the_index_found(fresh):
    """User 9 is the last of all for the vectors; the text of the history says otherwise."""
    client, settings = fresh
    write_embeddings(settings.work, DAY, embedded(USERS), weights={user_name(9): 1e6})
    write_features(settings, DAY, USERS)
    assert client.post("/v1/admin/publish", json={"ds": str(DAY)}, headers=ADMIN).status_code == 200

    first, second = client.post("/v1/audiences:target", json={"demand": "picnic basket", "size": 2}).json()["users"]

    assert first["user_id"] == user_name(9) and first["score"] > 10 > second["score"]
    assert first["probability"] == pytest.approx(1 / (1 + np.exp(-first["score"])))


def test_users_below_the_minimum_probability_are_left_out(client):
    everyone = client.post("/v1/audiences:target", json={"demand": "garden plant", "size": USERS}).json()["users"]
    bar = everyone[10]["probability"]

    asked = {"demand": "garden plant", "size": USERS, "minimum_probability": bar}
    likely = client.post("/v1/audiences:target", json=asked).json()["users"]

    assert likely == [user for user in everyone if user["probability"] >= bar]


def test_seeds_give_users_like_the_positives_without_the_seeds(client):
    asked = {"positives": LUNCH[:2], "negatives": [user_name(0), user_name(1)], "size": 5}

    audience = client.post("/v1/audiences:lookalike", json=asked).json()

    users = {user["user_id"] for user in audience["users"]}
    assert users <= set(LUNCH[2:]) and len(users) == 5
    assert all(user["reasons"][0]["text"] == "lunch bag" for user in audience["users"])
    assert {name: audience[name] for name in VERSIONS} == VERSIONS


def test_without_negatives_the_same_random_users_stand_in_each_time(client):
    asked = {"positives": LUNCH[:2], "size": 5}

    first = client.post("/v1/audiences:lookalike", json=asked).json()

    assert first == client.post("/v1/audiences:lookalike", json=asked).json()
    assert len(set(first["negatives"])) == 8 and not set(first["negatives"]) & set(LUNCH[:2])


def test_a_users_online_features_are_shown_by_view(client):
    answer = client.get(f"/v1/users/{user_name(1)}/features").json()

    assert answer["user_id"] == user_name(1)
    assert set(answer["features"]) == {"history", "searches", "activity"}
    assert answer["features"]["history"]["bills_day"] == [19874, 19000, 0, 0]
    assert {name: answer[name] for name in VERSIONS} == VERSIONS


def test_health_and_readiness(client):
    assert client.get("/healthz").json()["status"] == "alive"
    assert client.get("/readyz").json() == {"status": "ready", **VERSIONS}


@pytest.mark.parametrize(
    ("path", "asked", "status", "code", "told"),
    [
        ("target", {"demand": "  "}, 422, "empty_demand", "a demand must be a sentence, found an empty one"),
        ("target", {}, 422, "empty_demand", "a demand must be a sentence, found an empty one"),
        ("target", {"demand": "x", "size": 0}, 422, "invalid_request", "body.size: Input should be greater than"),
        ("target", {"demand": "x", "size": 16_385}, 422, "audience_too_large", "at most 16384 users"),
        ("target", {"demand": "x", "sise": 5}, 422, "invalid_request", "body.sise: Extra inputs are not permitted"),
        ("target", {"demand": "x", "minimum_probability": 2}, 422, "invalid_request", "body.minimum_probability"),
        ("lookalike", {"positives": []}, 422, "no_seeds", "needs positive seeds, found none"),
        (
            "lookalike",
            {"positives": ["u001", "eve", "mallory"]},
            404,
            "unknown_users",
            "holds no user 'eve', 'mallory'",
        ),
        (
            "lookalike",
            {"positives": ["u001", "u002"], "negatives": ["u002"]},
            422,
            "contradicting_seeds",
            "found as both: ['u002']",
        ),
        ("lookalike", {"positives": ["u001"], "size": 16_384}, 422, "audience_too_large", "at most 16384 users"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_code_and_hint(client, path, asked, status, code, told):
    refused(client.post(f"/v1/audiences:{path}", json=asked), status=status, code=code, told=told)


def test_seeds_that_are_everybody_leave_no_one_to_stand_apart_from(client):
    asked = {"positives": [user_name(at) for at in range(USERS)]}
    answer = client.post("/v1/audiences:lookalike", json=asked)
    refused(answer, status=422, code="no_seeds", told="holds no others than the positives")


def test_a_user_without_features_is_named(client):
    answer = client.get("/v1/users/no/body/features")
    refused(answer, status=404, code="user_without_features", told="no features of user 'no/body'")


def test_a_route_or_method_that_does_not_exist_is_a_problem_too(client):
    refused(client.get("/v2"), status=404, code="not_found", told="GET /v2: Not Found.")
    refused(client.get("/v1/audiences:target"), status=405, code="method_not_allowed", told="Method Not Allowed")


def test_a_fault_of_the_server_tells_nothing_of_its_inside(client, monkeypatch):
    monkeypatch.setattr(Desk, "features_of", lambda *_: 1 / 0)
    problem = refused(client.get("/v1/users/u/features"), status=500, code="internal_error", told="failed to answer")
    assert "division" not in str(problem)


def test_the_admin_routes_need_the_key(client):
    for path, body in (("publish", {"ds": "2024-06-01"}), ("rollback", {})):
        answer = client.post(f"/v1/admin/{path}", json=body)
        refused(answer, status=401, code="unauthorized", told="the request carries no key")
        answer = client.post(f"/v1/admin/{path}", json=body, headers={"Authorization": "Bearer wrong"})
        refused(answer, status=401, code="unauthorized", told="the key is not valid")


def test_a_server_without_an_admin_key_has_no_admin_routes(tmp_path):
    with TestClient(create_app(Settings(workdir=str(tmp_path)), open_desk=open_desk)) as client:
        answer = client.post("/v1/admin/publish", json={"ds": "2024-06-01"}, headers={})
    refused(answer, status=403, code="admin_disabled", told="started without an admin key")


def test_a_server_without_an_index_is_alive_but_not_ready(fresh):
    client, _ = fresh
    assert client.get("/healthz").status_code == 200
    for answer in (client.get("/readyz"), client.post("/v1/audiences:target", json={"demand": "x"})):
        refused(answer, status=503, code="index_missing", told="no collection is published under the alias 'users'")


def test_publishing_through_the_server_makes_it_ready(fresh):
    client, settings = fresh
    write_embeddings(settings.work, DAY, embedded(USERS))
    write_features(settings, DAY, USERS)

    done = client.post("/v1/admin/publish", json={"ds": DAY.isoformat()}, headers=ADMIN)

    assert done.json() == {
        "message": "users_v1 holds 40 users as of 2024-06-01: 40 written, 0 deleted",
        "users": 40,
        "written": 40,
        "deleted": 0,
        **VERSIONS,
    }
    assert client.get("/readyz").json() == {"status": "ready", **VERSIONS}
    assert client.post("/v1/audiences:target", json={"demand": "x", "size": 3}).status_code == 200


def test_a_new_model_answers_after_its_publication_and_the_old_one_after_a_rollback(fresh):
    client, settings = fresh
    write_features(settings, DAY, USERS)
    for day, version in ((DAY, "v1"), (DAY + timedelta(days=1), "v2")):
        write_embeddings(settings.work, day, embedded(USERS), version=version)
        client.post("/v1/admin/publish", json={"ds": day.isoformat()}, headers=ADMIN)
    answer = client.post("/v1/audiences:target", json={"demand": "x", "size": 3}).json()
    assert (answer["model_version"], answer["collection"], answer["ds"]) == ("v2", "users_v2", "2024-06-02")

    back = client.post("/v1/admin/rollback", headers=ADMIN)

    assert back.json() == {"message": "users_v1 is served again", **VERSIONS}
    assert client.post("/v1/audiences:target", json={"demand": "x", "size": 3}).json()["model_version"] == "v1"


def test_a_server_is_not_ready_while_the_model_of_its_index_is_missing_or_another(fresh):
    client, settings = fresh
    write_embeddings(settings.work, DAY, embedded(USERS))
    marker = settings.work.models / "v1" / "version"
    marker.write_text("v0")
    client.post("/v1/admin/publish", json={"ds": DAY.isoformat()}, headers=ADMIN)

    told = "users_v1 was made by model 'v1', "
    refused(client.get("/readyz"), status=503, code="versions_disagree", told=told)
    marker.unlink()
    marker.parent.rmdir()
    refused(client.get("/readyz"), status=503, code="model_missing", told=told)
    marker.parent.mkdir()
    marker.write_text("v1")
    assert client.get("/readyz").status_code == 200


def test_a_refused_publication_is_reported_and_nothing_can_be_rolled_back(fresh):
    client, _ = fresh
    answer = client.post("/v1/admin/publish", json={"ds": "2031-01-01"}, headers=ADMIN)
    refused(answer, status=409, code="publication_refused", told="there are no embeddings of 2031-01-01")
    answer = client.post("/v1/admin/rollback", headers=ADMIN)
    refused(answer, status=409, code="nothing_to_roll_back", told="nothing was published yet")


def test_features_before_the_first_materialisation_are_a_named_state(fresh):
    client, settings = fresh
    write_embeddings(settings.work, DAY, embedded(USERS))
    client.post("/v1/admin/publish", json={"ds": DAY.isoformat()}, headers=ADMIN)
    answer = client.get("/v1/users/u001/features")
    refused(answer, status=503, code="features_missing", told="the online store holds no features yet")


def test_the_description_names_every_route_its_answer_and_its_problems(client):
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/v1/audiences:target",
        "/v1/audiences:preview",
        "/v1/audiences:lookalike",
        "/v1/users/{user_id}",
        "/v1/users/{user_id}/features",
        "/v1/users/{user_id}:embed",
        "/v1/users:similar",
        "/healthz",
        "/readyz",
        "/v1/admin/publish",
        "/v1/admin/rollback",
        *STORED,
        *PAGE,
    }
    for path, methods in described["paths"].items():
        for operation in methods.values():
            answered = operation["responses"]["200"]["content"]
            if not path.endswith("/members"):
                assert "$ref" in answered["application/json"]["schema"], path
            for status, response in operation["responses"].items():
                if status[0] != "2":
                    assert set(response["content"]) == {"application/problem+json"}, (path, status)


def greet(listening: socket.socket) -> None:
    """As a mail server does."""
    near, _ = listening.accept()
    with near:
        near.sendall(b"220 mail.example ESMTP\r\n\r\n")


def test_a_running_server_is_found_by_its_work_directory_and_a_dead_one_is_not(settings, client, monkeypatch):
    announced = json.loads((settings.work.root / "server.json").read_text())
    assert announced["url"] == "http://127.0.0.1:8080"
    assert announced["instance"] == client.get("/healthz").json()["instance"]
    running.announce(settings.work, url="http://127.0.0.1:9", instance="killed")
    assert running.server_of(settings.work) is None
    with socket.create_server(("127.0.0.1", 0)) as other, ThreadPoolExecutor() as threads:
        threads.submit(greet, other)
        running.announce(settings.work, url=f"http://127.0.0.1:{other.getsockname()[1]}", instance="killed")
        assert running.server_of(settings.work) is None, "another program has the port now"
    running.withdraw(settings.work, "another")
    assert (settings.work.root / "server.json").exists()
    running.announce(settings.work, url=announced["url"], instance=announced["instance"])


def test_a_server_withdraws_its_announcement_when_it_stops(tmp_path):
    settings = Settings(workdir=str(tmp_path))
    with TestClient(create_app(settings, open_desk=open_desk)):
        assert (tmp_path / "server.json").exists()
    assert not (tmp_path / "server.json").exists()
    open_index(settings).close()


@contextmanager
def listening(settings: Settings):
    """The app behind a real socket, until the block ends."""
    app = create_app(settings, open_desk=open_desk)
    server = uvicorn.Server(uvicorn.Config(app, host=settings.host, port=settings.port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: running.server_of(settings.work))
        yield
    finally:
        server.should_exit = True
        thread.join()


def test_the_commands_go_through_the_server_that_owns_the_index(tmp_path, unused_port):
    from serving.ask import show_lookalike, show_target
    from serving.publish import main

    settings = Settings(workdir=str(tmp_path), port=unused_port, admin_key=KEY)
    write_embeddings(settings.work, DAY, embedded(USERS), texts=bought(USERS))
    write_features(settings, DAY, USERS)
    with listening(settings):
        environ = settings.environment()
        with pytest.MonkeyPatch.context() as patched:
            for name, value in environ.items():
                patched.setenv(name, value)
            assert main(["--ds", DAY.isoformat()]) == 0
            patched.setenv("FOUND_ADMIN_KEY", "")
            assert main(["--ds", DAY.isoformat()]) == 2

        shown = show_target(settings, demand="a picnic basket", size=3).splitlines()
        assert shown[0] == "audience for 'a picnic basket' (model v1, collection users_v1, as of 2024-06-01)"
        assert shown[1].split() == ["user", "probability", "reason"]
        assert shown[3].split()[0] in PICNIC and shown[3].endswith("picnic basket")
        with pytest.raises(
            FoundError, match=r"^the index users_v1 holds no user 'eve'.* check the spelling of the ids.$"
        ):
            show_lookalike(settings, ["eve"], negatives=[], demand="", size=3)
        with (
            pytest.MonkeyPatch.context() as patched,
            pytest.raises(ServerRefused, match=r"answered 500: .* stop it and"),
        ):
            patched.setattr(Desk, "target", lambda *_, **__: 1 / 0)
            show_target(settings, demand="a picnic basket", size=3)
    assert running.server_of(settings.work) is None


def test_without_a_server_the_command_asks_with_a_desk_of_its_own(tmp_path, monkeypatch):
    from serving.ask import show_first_audiences, show_lookalike

    settings = Settings(workdir=str(tmp_path), lake=str(tmp_path / "no-scenarios"))
    write_embeddings(settings.work, DAY, embedded(USERS))
    write_features(settings, DAY, USERS)
    with open_index(settings) as index:
        publish(index, settings.work, DAY)
    monkeypatch.setattr("serving.desk.open_desk", open_desk)

    shown = show_lookalike(settings, LUNCH[:2], negatives=[user_name(0)], demand="", size=3)
    assert shown.splitlines()[0].startswith(f"audience like {LUNCH[0]}, {LUNCH[1]} (model v1")
    first = show_first_audiences(settings, demand="", ds=DAY)
    assert "audience for 'Users interested in " in first and "(seeds: users with '" in first


def test_an_unused_setting_does_not_open_the_index_twice(settings):
    """The desk is opened when the app starts, so that a description can be made without a model."""
    described = create_app(replace(settings, workdir="/nowhere"), open_desk=open_desk).openapi()
    assert described["info"]["title"] == "FOUND"


def test_vectors_in_the_double_are_what_the_index_holds(settings, client):
    answer = client.post("/v1/audiences:target", json={"demand": "cake stand", "size": 1}).json()["users"][0]
    at = int(answer["user_id"][1:])
    query = WordModel("v1").read_demands(["cake stand"], DAY)[0].vector
    near = sum(float(words_vector(text) @ query[1:]) for text in (TEXTS[at % len(TEXTS)], "old thing"))
    assert answer["score"] == pytest.approx(float(user_vector(at) @ query) + np.log1p(near), rel=1e-6)
