"""Protected columns are asked by nobody and shown to nobody, even where an older index holds them."""

import pytest
from audience_doubles import serving
from serving_doubles import DAY, bought, embedded, write_embeddings, write_features, write_profile
from test_api import refused

from feature_repo.contracts.settings import Settings
from serving.index import open_index
from serving.publish import publish

USERS = 40
CREEDS = ["zoroastrian" if at % 2 else "animist" for at in range(USERS)]
SPELLINGS = (
    "religion",
    "Religion",
    "RELIGION",
    "re-ligion",
    "religion ",
    "_religion",
    "profile.religion",
    "religion\n",
)
ROUTES = (
    ("/v1/audiences:target", {"demand": "tea"}),
    ("/v1/audiences:preview", {"demand": "tea"}),
    ("/v1/audiences:lookalike", {"positives": ["u001"]}),
    ("/v1/map", {"demand": "tea"}),
    ("/v1/users:similar", {"user_id": "u001"}),
)


@pytest.fixture(scope="module", params=["religion", ""], ids=["never stored", "stored before it was denied"])
def client(tmp_path_factory, request):
    made = Settings(workdir=str(tmp_path_factory.mktemp("work")), minimum_audience=0)
    write_embeddings(made.work, DAY, embedded(USERS), texts=bought(USERS))
    write_profile(made.work, DAY, {"age": [20.0 + at for at in range(USERS)], "religion": CREEDS})
    write_features(made, DAY, USERS)
    with open_index(made) as index:
        publish(index, made.work, DAY, denied=[request.param] if request.param else [])
    with serving(made) as client:
        yield client


@pytest.mark.parametrize(("path", "asked"), ROUTES)
def test_no_route_filters_by_a_denied_column_however_it_is_spelt(client, path, asked):
    for field in SPELLINGS:
        one = {"field": field, "op": "=", "value": "zoroastrian"}
        for filters in ([one], [{"any": [one, {"field": "age", "op": ">", "value": 1}]}]):
            answer = client.post(path, json=asked | {"filters": filters})
            code = answer.json().get("code")
            assert (answer.status_code, code) in ((422, "denied_filter_field"), (422, "unknown_filter_field")), field
            assert "zoroastrian" not in answer.text and "animist" not in answer.text
    answer = client.post(path, json=asked | {"filters": [{"field": "religion", "op": "=", "value": "animist"}]})
    refused(answer, status=422, code="denied_filter_field", told="'religion' may not be filtered by")


@pytest.mark.parametrize(
    "demand",
    [
        "zoroastrian customers who will buy a picnic basket",
        "customers of religion zoroastrian who will buy a picnic basket",
        "users whose religion is animist and who will buy a picnic basket",
        "not animist, will buy a picnic basket",
        "animists over 30 who will buy a picnic basket",
    ],
)
def test_no_words_of_a_demand_become_a_filter_on_it(client, demand):
    answer = client.post("/v1/audiences:preview", json={"demand": demand, "size": USERS}).json()

    fields = [f["field"] for each in answer["audience"]["filters"] for f in each.get("any", [each])]
    assert set(fields) <= {"age"}
    asked_of_profiles = [c["column"] for c in answer["audience"]["conditions"] if c["kind"] == "profile"]
    assert set(asked_of_profiles) <= {"age"} and not answer["audience"]["rewritten"]["history"]
    found = client.post("/v1/audiences:target", json={"demand": demand, "size": USERS}).json()["users"]
    creeds = {CREEDS[int(user["user_id"][1:])] for user in found}
    assert creeds == {"zoroastrian", "animist"}


def test_no_edited_condition_does(client):
    for field in SPELLINGS:
        conditions = [{"kind": "profile", "column": field, "value": "zoroastrian"}]
        asked = {"demand": "a picnic basket", "size": USERS, "conditions": conditions}
        answer = client.post("/v1/audiences:target", json=asked)
        if answer.status_code == 200:
            assert answer.json()["filters"] == [] and len(answer.json()["users"]) == USERS
        else:
            assert answer.json()["code"] in ("denied_filter_field", "unknown_filter_field", "invalid_conditions"), field


def test_no_answer_shows_it(client):
    features = client.get("/v1/users/u001/features").json()["features"]
    assert features["profile"] == {"age": 21.0}
    asked = {"demand": "a picnic basket", "size": USERS}
    for answer in (
        client.post("/v1/audiences:target", json=asked),
        client.post("/v1/audiences:preview", json=asked),
        client.post("/v1/audiences:lookalike", json={"positives": ["u001", "u005"]}),
        client.get("/v1/examples"),
        client.get("/v1/map"),
        client.get("/v1/users/u001/features"),
        client.get("/openapi.json"),
    ):
        assert answer.status_code == 200, answer.text
        assert not {word for word in ("religion", "zoroastrian", "animist") if word in answer.text.lower()}
