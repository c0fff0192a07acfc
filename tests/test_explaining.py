"""Reasons of the members of a stored audience, as long as the publication that chose them answers."""

from datetime import timedelta

import pytest
from audience_doubles import NOW, USERS, VERSIONS, new, published, serving
from serving_doubles import DAY, TEXTS, bought, embedded, user_name, write_embeddings, write_features, write_profile
from test_api import refused

from serving.audiences.database import Database
from serving.audiences.store import AudienceStore
from serving.index import open_index
from serving.publish import publish

SEEDS = [user_name(at) for at in range(0, 32, len(TEXTS))]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return published(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def client(settings):
    with serving(settings) as client:
        yield client


def stored(client, **asked) -> dict:
    answer = client.post("/v1/audiences", json={"name": "a", **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("route", "asked"),
    [
        ("target", {"demand": "users over 30 who will buy a picnic basket", "exclude_users": [user_name(20)]}),
        ("lookalike", {"positives": SEEDS, "negatives": [user_name(1)]}),
        ("lookalike", {"positives": SEEDS, "demand": "a garden plant"}),
    ],
)
def test_reasons_are_those_of_the_unstored_answer(client, route, asked):
    audience = stored(client, **asked, size=8)
    direct = client.post(f"/v1/audiences:{route}", json=asked | {"size": 8}).json()["users"]

    told = client.get(f"/v1/audiences/{audience['id']}/reasons", params={"limit": 5}).json()

    assert {name: told[name] for name in VERSIONS} == VERSIONS
    assert told["data"] == [{"user_id": user["user_id"], "reasons": user["reasons"]} for user in direct[:5]]
    assert any(user["reasons"] for user in told["data"])


def test_members_that_are_held_out_and_seeds_that_nobody_knows_are_left_out(client):
    audience = stored(client, positives=[*SEEDS, "nobody"], size=8, holdout_share=0.5)
    exported = client.get(f"/v1/audiences/{audience['id']}/members").text.splitlines()[1:]

    told = client.get(f"/v1/audiences/{audience['id']}/reasons").json()["data"]

    assert [user["user_id"] for user in told] == [line.split(",")[1] for line in exported] and len(told) == 4


def test_reasons_of_what_is_not_ready_or_not_there_are_refused(client, settings):
    waiting = AudienceStore(Database(settings.work.audiences)).create(new(), now=NOW)[0].id
    refused(client.get(f"/v1/audiences/{waiting}/reasons"), status=409, code="audience_not_ready", told="is queued")
    refused(client.get("/v1/audiences/aud_none/reasons"), status=404, code="audience_not_found", told="aud_none")
    answer = client.get(f"/v1/audiences/{waiting}/reasons", params={"limit": 101})
    refused(answer, status=422, code="invalid_request", told="limit")


def test_another_publication_cannot_tell_why(tmp_path):
    settings, following = published(tmp_path), DAY + timedelta(days=1)
    with serving(settings) as client:
        audience = stored(client, demand="a picnic basket", size=8)
    write_embeddings(settings.work, following, embedded(USERS), texts=bought(USERS))
    write_profile(settings.work, following, {"age": [30.0] * USERS})
    write_features(settings, following, USERS)
    with open_index(settings) as index:
        publish(index, settings.work, following)
    with serving(settings) as client:
        answer = client.get(f"/v1/audiences/{audience['id']}/reasons")
    told = f"{audience['id']} was chosen by users_v1 as of 2024-06-01, users_v1 as of 2024-06-02 answers"
    refused(answer, status=409, code="audience_outdated", told=told)
