"""Many questions while the alias moves to and fro: no error, and no answer that mixes two publications.

The second model doubles every vector of the index and asks three times as loudly: a score tells which vectors met which
question. Users of the first have texts, those of the second have none.
"""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import numpy as np
import ports
import pytest
import uvicorn
from audience_doubles import USERS, open_desk, published
from hostile import HOSTILE
from serving_doubles import DAY, WordModel, bought, embedded, write_embeddings

from feature_repo.contracts.settings import Settings
from model.scores import inner_products
from serving import running
from serving.app import create_app
from serving.expressions import among, not_among
from serving.index import open_index
from serving.publish import publish, rollback
from serving.question import Question
from serving.rows import UNASKABLE

ASKERS = 8
NEXT = DAY + timedelta(days=1)
LOUDNESS = {"v1": 1, "v2": 3}
VECTORS = {"v1": 1, "v2": 2}
SENTENCES = ("picnic", "a garden plant", "lunch bag", "cake stand")
FIRST = {"model_version": "v1", "collection": "users_v1", "ds": "2024-06-01", "template_version": 1}
SECOND = {"model_version": "v2", "collection": "users_v2", "ds": "2024-06-02", "template_version": 1}


@pytest.fixture
def loud(monkeypatch):
    """Models that ask as loudly as their version says."""
    read = WordModel.read_demands

    def loudly(self: WordModel, demands, day):
        return [replace(d, vector=d.vector * np.float32(LOUDNESS[self.version])) for d in read(self, demands, day)]

    monkeypatch.setattr(WordModel, "read_demands", loudly)


def doubled() -> dict[str, tuple[np.ndarray, str]]:
    return {user: (vector * np.float32(VECTORS["v2"]), digest) for user, (vector, digest) in embedded(USERS).items()}


@pytest.fixture
def settings(tmp_path) -> Settings:
    """v1 served, v2 embedded."""
    settings = published(tmp_path)
    write_embeddings(settings.work, NEXT, doubled(), version="v2")
    return settings


def expected(demand: str, versions: dict) -> list[tuple[str, float]]:
    """The best three users and their scores, worked out from the vectors of one version."""
    model, times = WordModel(versions["model_version"]), VECTORS[versions["model_version"]]
    asked = model.read_demands([demand], DAY)[0]
    users = {user: vector * np.float32(times) for user, (vector, _) in embedded(USERS).items()}
    held = bought(USERS) if versions == FIRST else dict.fromkeys(users, ())
    texts = [(np.array(held[user], np.int64), np.ones(len(held[user]), np.float32)) for user in users]
    scores = model.rescore(inner_products(np.stack(list(users.values())), asked.vector), texts, None, asked)
    return sorted(zip(users, scores.tolist(), strict=True), key=lambda each: (-each[1], each[0]))[:3]


def unmixed(answer: dict) -> str:
    """The model version of an answer all of whose parts belong to one publication."""
    versions = {name: answer[name] for name in FIRST}
    assert versions in (FIRST, SECOND)
    found = [(user["user_id"], user["score"]) for user in answer["users"]]
    wanted = expected(answer["demand"], versions)
    assert [user for user, _ in found] == [user for user, _ in wanted]
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted], rel=1e-4)
    return answer["model_version"]


def storm(ask: Callable[[str], dict], move: Callable[[int], None], *, questions: int, moves: int) -> Counter[str]:
    """How many answers each model gave while the alias moved so many times; raises the first error of any question."""
    done = threading.Event()
    asked = iter(range(questions))
    turn = threading.Lock()
    answered = Counter[str]()

    def asker() -> None:
        while True:
            with turn:
                at = next(asked, None)
            if at is None and done.is_set():
                return
            version = unmixed(ask(SENTENCES[(at or 0) % len(SENTENCES)]))
            with turn:
                answered[version] += 1

    with ThreadPoolExecutor(ASKERS) as pool:
        askers = [pool.submit(asker) for _ in range(ASKERS)]
        for at in range(moves):
            move(at)
            seen = Counter(answered)
            until = time.monotonic() + 60
            served = ("v2", "v1")[at % 2]
            while answered[served] < seen[served] + ASKERS and time.monotonic() < until:
                time.sleep(0.01)
                if failed := [each for each in askers if each.done()]:
                    done.set()
                    failed[0].result()
        done.set()
        for each in askers:
            each.result()
    return answered


def test_a_storm_through_a_moving_alias_meets_no_error_and_no_mixed_answer(settings, loud):
    desk = open_desk(settings)

    def ask(demand: str) -> dict:
        found = desk.target(Question(demand), size=3)
        users = [{"user_id": user.user_id, "score": user.score} for user in found.users]
        return {"users": users, **{name: getattr(found, name) for name in ("demand", *FIRST)}}

    def move(at: int) -> None:
        """Beside the desk, as another process does it on a server."""
        if at % 2 == 0:
            publish(desk._index, settings.work, NEXT)
        else:
            rollback(desk._index, settings.work)

    try:
        answered = storm(ask, move, questions=200, moves=4)
    finally:
        desk.close()
    assert sum(answered.values()) >= 200 and min(answered["v1"], answered["v2"]) > 10


def test_a_mixed_answer_is_seen(loud):
    users = [{"user_id": user, "score": score * 2} for user, score in expected("picnic", FIRST)]
    with pytest.raises(AssertionError):
        unmixed({"users": users, "demand": "picnic", **FIRST})


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The app behind a real socket."""
    config = uvicorn.Config(create_app(settings, open_desk=open_desk), port=settings.port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + 60
        while not (url := running.server_of(settings.work)):
            assert time.monotonic() < until
            time.sleep(0.1)
        yield url
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.slow
def test_no_hostile_id_or_value_is_more_than_a_value_on_a_milvus_server(tmp_path, milvus_server):
    settings = replace(published(tmp_path), milvus_uri=milvus_server)
    with open_index(settings) as index:
        publish(index, settings.work, DAY)
        texts = [text for text in HOSTILE if not UNASKABLE.search(text)]
        assert index.vectors("users_v1", texts) == {}
        for text in texts:
            assert index.count("users_v1", among([text])) == 0, text
            assert index.count("users_v1", not_among([text])) == USERS, text


@pytest.mark.slow
def test_a_storm_of_1000_requests_on_a_milvus_server_with_publication_and_rollback_by_command(
    tmp_path, loud, milvus_server
):
    port = ports.unused()
    local = published(tmp_path)
    settings = replace(local, milvus_uri=milvus_server, port=port)
    with open_index(settings) as index:
        publish(index, settings.work, DAY)
    write_embeddings(settings.work, NEXT, doubled(), version="v2")
    environ = os.environ | settings.environment()

    def move(at: int) -> None:
        command = ["serving.publish", f"--ds={NEXT}"] if at == 0 else ["serving.cli", "rollback"]
        if at == 2:
            command = ["serving.publish", f"--ds={NEXT}"]
        subprocess.run([sys.executable, "-m", *command], env=environ, check=True, capture_output=True)

    with serving(settings) as url, httpx.Client(timeout=60) as client:

        def ask(demand: str) -> dict:
            answer = client.post(f"{url}/v1/audiences:target", json={"demand": demand, "size": 3})
            assert answer.status_code == 200, answer.text
            return answer.json()

        answered = storm(ask, move, questions=1_000, moves=4)
        assert client.get(f"{url}/readyz").json()["model_version"] == "v1"
    assert sum(answered.values()) >= 1_000 and min(answered["v1"], answered["v2"]) > 100
