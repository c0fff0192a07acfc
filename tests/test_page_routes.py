"""What the page asks of the API: examples of the lake, the map of users, the curve of a preview."""

import numpy as np
import pytest
import yaml
from audience_doubles import USERS, VERSIONS, open_desk, published, serving
from serving_doubles import TEXTS
from test_api import refused

from feature_repo.contracts.settings import Settings
from model.calibration.size import Expected
from serving.audiences.prediction import predicted
from serving.first import lake_scenarios
from serving.page.once import Once
from serving.page.projection import MOST_LIT, drawn
from serving.preview import curve

GOALS = [("baby", 1), ("baby", 2), ("garden", 1)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    lake = tmp_path_factory.mktemp("lake")
    (lake / "scenarios").mkdir()
    asked = {"cutoff": "2024-06-01", "horizon_days": 30}
    told = [
        {"id": f"{goal}_{at}", "demand": f"Users about {goal} {at}", "label_rule": goal} | asked for goal, at in GOALS
    ]
    (lake / "scenarios" / "scenarios.yaml").write_text(yaml.safe_dump(told))
    return published(tmp_path_factory.mktemp("work"), lake=str(lake))


@pytest.fixture(scope="module")
def client(settings):
    with serving(settings) as client:
        yield client


def preview(client, **asked) -> dict:
    answer = client.post("/v1/audiences:preview", json={"demand": "a picnic basket", "size": USERS} | asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("users", [1, 2, 99, 100, 101, 345, 1_050])
def test_a_curve_is_what_each_smaller_audience_would_promise(users):
    chances = np.sort(np.random.default_rng(users).uniform(0, 0.4, users))[::-1]
    everybody = Expected(size=200.0, low=100.0, high=400.0)

    points = curve(chances, everybody)

    assert [point.size for point in points][:100] == list(range(1, min(users, 100) + 1))
    assert points[-1].size == users and len(points) <= 300
    for point in points[:: max(1, len(points) // 7)]:
        promised = predicted(chances[: point.size], everybody)
        assert point.expected == pytest.approx(promised["expected"])
        assert (point.low, point.high) == (promised["low"], promised["high"])
        assert point.size == (chances >= point.probability).sum(), "all above p are the first N"
    assert curve(np.empty(0), everybody) == ()


def test_top_n_all_above_p_and_how_many_will_agree(client):
    points = preview(client)["curve"]

    for at in (0, 6, len(points) - 1):
        smaller = preview(client, size=points[at]["size"])
        above = preview(client, minimum_probability=points[at]["probability"])
        assert smaller["curve"][-1] == points[at]
        assert above["curve"][-1]["expected"] >= points[at]["expected"] and above["size"] >= points[at]["size"]
        stored = client.post(
            "/v1/audiences", json={"name": "n", "demand": "a picnic basket", "size": points[at]["size"]}
        ).json()
        told = {name: stored["prediction"][name] for name in ("low", "high")}
        assert told == {name: points[at][name] for name in told}
        assert stored["prediction"]["expected"] == pytest.approx(points[at]["expected"])


def test_conditions_are_told_in_words_in_the_order_in_which_they_are_sent_back(client):
    found = preview(client, demand="users over 30 who had a lunch bag and will buy a cake stand", size=5)["audience"]

    said = ["have age more than 30", "had to do with 'lunch bag'", "will have to do with 'cake stand'"]
    assert found["rewritten"]["conditions"] == said
    assert len(found["conditions"]) == 3 and found["conditions"][0]["column"] == "age"
    left = preview(client, demand=found["demand"], conditions=found["conditions"][1:], size=5)["audience"]
    assert left["rewritten"]["conditions"] == found["rewritten"]["conditions"][1:] and not left["filters"]


def test_examples_are_the_lakes_goals_and_what_many_users_did(client):
    found = client.get("/v1/examples").json()

    assert {name: found[name] for name in VERSIONS} == VERSIONS
    demands = {each["text"]: each["origin"] for each in found["demands"]}
    assert list(demands)[:2] == ["Users about baby 1", "Users about garden 1"], "one sentence about each goal"
    assert demands["Users about baby 1"] == "a scenario of this lake (baby_1)"
    things = [text.partition(" buy ")[2] for text in list(demands)[2:]]
    assert len(things) == 3 and set(things) <= set(TEXTS), "what everybody had tells nobody apart"
    assert demands[f"Customers who will buy {things[1]}"] == f"10 of 40 users had {things[1]!r} lately"
    assert "a column of the profiles" in demands[f"Customers over 30 who will buy {things[0]}"]
    assert {"name": "age", "kind": "number", "values": []} in found["columns"]
    assert (found["users"], found["horizon_days"], found["currency"]) == (USERS, 30, "EUR")


def test_every_example_is_read_without_a_warning(client):
    for each in client.get("/v1/examples").json()["demands"][2:]:
        found = preview(client, demand=each["text"], size=5)["audience"]["rewritten"]
        assert not found["not_understood"], each


def test_a_lake_that_is_not_named_or_lists_no_scenarios_has_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "scenarios.yaml").write_text("- {id: another lake's}")

    assert lake_scenarios(Settings()) == [] and lake_scenarios(Settings(lake=str(tmp_path / "scenarios"))) == []


def test_the_map_holds_a_place_for_each_user_of_the_sample_and_no_id(client):
    found = client.get("/v1/map")

    places = np.array(found.json()["points"])
    assert places.shape == (USERS, 2) and np.abs(places).max() == pytest.approx(1)
    assert 0 < found.json()["explained"] <= 1 and found.json()["users"] == USERS
    assert {name: found.json()[name] for name in VERSIONS} == VERSIONS and "u00" not in found.text


def test_an_audience_lights_the_places_of_its_members(client):
    asked = {"demand": "a picnic basket", "size": 10}
    everybody = {tuple(place) for place in client.get("/v1/map").json()["points"]}

    lit = client.post("/v1/map", json=asked)

    places = {tuple(place) for place in lit.json()["points"]}
    assert lit.json()["size"] == 10 and places <= everybody and "u00" not in lit.text
    made = client.post("/v1/audiences", json=asked | {"name": "lit"}).json()
    assert client.get(f"/v1/audiences/{made['id']}/map").json() == lit.json()
    few = client.post("/v1/map", json=asked | {"minimum_probability": 1.0}).json()
    assert (few["points"], few["size"]) == ([], 0)


def test_the_map_of_an_audience_that_is_not_there_is_refused(client):
    refused(client.get("/v1/audiences/aud_none/map"), status=404, code="audience_not_found", told="aud_none")
    refused(client.post("/v1/map", json={"demand": ""}), status=422, code="empty_demand", told="empty")


def test_without_a_publication_every_route_says_what_to_run(tmp_path):
    with serving(Settings(workdir=str(tmp_path)), open_desk) as client:
        for route in ("/v1/examples", "/v1/map"):
            problem = refused(client.get(route), status=503, code="index_missing", told="no collection is published")
            assert "found run LAKE" in problem["hint"]


def test_a_map_is_the_same_whatever_a_principal_axis_points_to_and_ignores_activity():
    random = np.random.default_rng(0)
    groups = random.normal(size=(3, 12)) * 4
    active = random.uniform(-3, 3, 300)
    texts = groups[np.arange(300) % 3] + random.normal(size=(300, 12)) * 0.2 + active[:, None] * random.normal(size=12)
    vectors = np.column_stack([active, texts, np.ones(300)]).astype(np.float32)

    drawing = drawn(vectors, users=300)

    places = np.array(drawing.points)
    centres = np.stack([places[at::3].mean(0) for at in range(3)])
    apart = min(np.linalg.norm(centres[a] - centres[b]) for a, b in [(0, 1), (0, 2), (1, 2)])
    assert apart > 2 * max(places[at::3].std(0).max() for at in range(3)), "what users did keeps them apart"
    assert abs(np.corrcoef(places[:, 0], active)[0, 1]) < 0.1
    assert drawing.place({"a": vectors[7]}, ["b", "a"]) == (drawing.points[7],)
    assert drawn(vectors, users=300).points == drawing.points


@pytest.mark.parametrize("vectors", [np.ones((1, 5)), np.zeros((4, 5)), np.tile([[0.0, 1, 2, 3, 1]], (9, 1))])
def test_users_who_do_not_differ_lie_in_one_place(vectors):
    drawing = drawn(vectors.astype(np.float32), users=9)

    assert len(drawing.points) == len(vectors) and np.isfinite(np.array(drawing.points)).all()


def test_a_map_lights_no_more_than_it_shows(client, monkeypatch):
    monkeypatch.setattr("serving.page.projection.MOST_LIT", 4)
    monkeypatch.setattr("serving.page.routes.MOST_LIT", 4)
    assert MOST_LIT == 500

    assert len(client.post("/v1/map", json={"demand": "a picnic basket", "size": 10}).json()["points"]) == 4


def test_what_is_worked_out_once_is_worked_out_again_when_the_desk_answers_by_something_else():
    class Desk:
        pass

    class By:
        def __init__(self, publication):
            self.publication = publication

    made = []
    once = Once(lambda desk, targeting: made.append(targeting.publication) or targeting.publication)
    desk, other = Desk(), Desk()
    first, second, anew = map(By, ("first", "second", "first"))

    assert [once.of(desk, first), once.of(desk, first), once.of(other, first)] == ["first"] * 3
    assert made == ["first"] * 2
    assert once.of(desk, second) == "second" and once.of(other, anew) == "first"
    assert made == ["first", "first", "second", "first"], "an erasure opens the same publication anew"
