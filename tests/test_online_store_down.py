"""What is answered while the online store cannot be reached."""

import socket
import time
from dataclasses import replace

import pytest
from audience_doubles import open_desk, published, serving
from ports import unused
from serving_doubles import user_name

from feature_repo.contracts.settings import Settings
from serving.errors import FeaturesUnreachable
from serving.question import Question
from serving.user_features import OnlineFeatures

BOUGHT_LATELY = "customers who bought a garden plant in the last 10 days"


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    return published(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def wanted(settings):
    """What is answered with an online store."""
    desk = open_desk(settings)
    found = desk.target(Question("garden plant"), size=5)
    desk.close()
    return found


@pytest.fixture(scope="module")
def client(settings, wanted):
    """Of a server whose Redis is gone."""
    with serving(replace(settings, online_store="redis", redis=f"127.0.0.1:{unused()}")) as client:
        yield client


def ask(client, demand: str):
    return client.post("/v1/audiences:target", json={"demand": demand, "size": 5})


def test_an_audience_is_one_without_where_and_when(client, wanted):
    answer = ask(client, "garden plant")

    assert answer.status_code == 200, answer.text
    users = answer.json()["users"]
    assert [user["user_id"] for user in users] == [user.user_id for user in wanted.users]
    told = [reason for user in users for reason in user["reasons"]]
    assert [reason["text"] for reason in told] == [reason.text for user in wanted.users for reason in user.reasons]
    assert told and {reason["last_day"] for reason in told} == {""}


def test_a_rule_on_events_is_refused_and_not_ignored(client):
    answer = ask(client, BOUGHT_LATELY)

    assert (answer.status_code, answer.json()["code"]) == (503, "features_unreachable")
    assert "Check FOUND_REDIS" in answer.text


def test_no_question_waits_for_a_store_that_was_just_found_gone(client, monkeypatch):
    ask(client, "garden plant")
    asked = []
    monkeypatch.setattr("feast.FeatureStore.get_online_features", lambda *args, **given: asked.append(given))

    assert ask(client, "garden plant").status_code == 200
    assert client.get(f"/v1/users/{user_name(1)}/features").json()["code"] == "features_unreachable"
    assert not asked


def test_a_redis_that_hangs_is_given_up(settings):
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        redis = f"127.0.0.1:{hanging.getsockname()[1]},socket_timeout=0.05"
        features = OnlineFeatures(replace(settings, online_store="redis", redis=redis))
        started = time.monotonic()
        with pytest.raises(FeaturesUnreachable, match="the online store cannot be read: Timeout reading"):
            features.events([user_name(1)])
        assert time.monotonic() - started < 5


def test_redis_has_a_deadline_unless_it_is_told_one(tmp_path):
    def connection(redis: str) -> str:
        features = OnlineFeatures(Settings(workdir=str(tmp_path), online_store="redis", redis=redis))
        return str(features._store.config.online_store.connection_string)

    assert connection("cache:6379") == "cache:6379,socket_timeout=5"
    assert connection("cache:6379,socket_timeout=1") == "cache:6379,socket_timeout=1"
