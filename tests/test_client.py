"""The Python client: against the real app behind a socket, and against answers that go wrong."""

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
from audience_doubles import USERS, open_desk, published
from serving_doubles import user_name

from serving import calling, client, running
from serving.app import create_app
from serving.calling import FoundApiError
from serving.client import FoundClient, Member

ROOT = Path(__file__).parents[1]
PROBLEM = {"code": "rate_limited", "detail": "too many.", "hint": "Wait."}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The address of a server with forty users."""
    settings = replace(published(tmp_path_factory.mktemp("client")), port=0)
    server = uvicorn.Server(uvicorn.Config(create_app(settings, open_desk=open_desk), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()
    assert running.server_of(settings.work) is None


@pytest.fixture
def found(url):
    with FoundClient(url) as found:
        yield found


def test_sentences_and_seeds_are_asked_and_answered_as_typed_messages(found):
    assert found.ready().model_version == "v1"
    audience = found.target("a picnic basket", size=5, filters=[{"field": "age", "op": ">", "value": 25}])
    assert len(audience.users) == 5 and audience.filters[0].field == "age"
    assert found.preview("a picnic basket", size=5).size == 5
    alike = found.lookalike([user_name(2), user_name(6)], [user_name(0)], size=3)
    assert len(alike.users) == 3 and alike.model_version == "v1"
    assert found.features(user_name(1)).features["history"]["bills_length"] == 2


def test_an_audience_is_made_listed_renamed_compared_read_and_removed(found, tmp_path):
    one = found.create_audience("one", demand="picnic", size=7)
    other = found.create_audience("other", positives=[user_name(0), user_name(4)], size=5)
    assert (one.status, one.size, other.kind) == ("ready", 7, "lookalike")

    assert [each.name for each in found.audiences()][:2] == ["other", "one"]
    assert list(found.audiences("failed")) == []
    assert found.rename(one.id, "first").name == found.audience(one.id).name == "first"
    compared = found.compare(one.id, other.id)
    assert [each.id for each in compared.audiences] == [one.id, other.id]
    members = list(found.members(one.id))
    assert [member.rank for member in members] == list(range(1, 8)) and isinstance(members[0], Member)
    found.download(one.id, tmp_path / "one.csv")
    assert len((tmp_path / "one.csv").read_text().splitlines()) == 8 and len(list(tmp_path.iterdir())) == 1
    found.delete(one.id)
    with pytest.raises(FoundApiError) as gone:
        found.audience(one.id)
    assert (gone.value.status, gone.value.code) == (404, "audience_not_found")
    assert gone.value.detail and gone.value.hint and len(gone.value.request_id) == 32


def test_every_page_of_audiences_is_read(found, monkeypatch):
    for name in ("a", "b", "c"):
        found.create_audience(name, demand="tea", size=1)
    read = calling.Caller.read

    def one_by_one(self, message, method, path, **given):
        return read(self, message, method, path, **{**given, "params": {**given["params"], "limit": 1}})

    monkeypatch.setattr(calling.Caller, "read", one_by_one)
    assert [each.name for each in found.audiences("ready")][:3] == ["c", "b", "a"]


def test_what_is_refused_says_why(found):
    with pytest.raises(FoundApiError, match=r"empty_demand \(422\): a demand must be a sentence, found an empty one"):
        found.target(" ")
    with pytest.raises(FoundApiError, match="exports_disabled"):
        found.export(found.create_audience("out", demand="tea", size=1).id, "https://crm.example.com")
    assert not found.receivers().enabled
    with pytest.raises(FoundApiError, match="user_without_features"):
        found.features("no/body")
    with pytest.raises(FoundApiError, match="no_seeds"):
        found.create_audience("none", positives=[user_name(at) for at in range(USERS)])


class Answers:
    """A server that gives these answers one after the other, and keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.requests = list(answers), []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """What the client waits; another thread of the tests sleeps as ever."""
    waited: list[float] = []
    clock = SimpleNamespace(sleep=waited.append, monotonic=time.monotonic)
    for module in ("calling", "client"):
        monkeypatch.setattr(f"serving.{module}.time", clock)
    return waited


def client_of(answers: Answers) -> FoundClient:
    return FoundClient("http://found", "secret", transport=httpx.MockTransport(answers))


def busy(status: int = 429, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=PROBLEM, headers=headers)


READY = {"status": "ready", "model_version": "v1", "collection": "users_v1", "ds": "2024-06-01", "template_version": 1}


def test_a_call_is_sent_again_after_429_503_and_no_answer_with_growing_pauses(pauses):
    answers = Answers(busy(), busy(503), httpx.ConnectError("refused"), httpx.Response(200, json=READY))
    assert client_of(answers).ready().ds == "2024-06-01"
    assert len(answers.requests) == 4 and answers.requests[0].headers["Authorization"] == "Bearer secret"
    assert all(grown / 2 <= pause <= grown for pause, grown in zip(pauses, (0.5, 1.0, 2.0), strict=True))


def test_retry_after_is_honoured_and_bounded(pauses):
    client_of(Answers(busy(**{"Retry-After": "7"}), httpx.Response(200, json=READY))).ready()
    client_of(Answers(busy(**{"Retry-After": "86400"}), httpx.Response(200, json=READY))).ready()
    client_of(Answers(busy(**{"Retry-After": "later"}), httpx.Response(200, json=READY))).ready()
    assert pauses[:2] == [7.0, calling.MOST_PAUSE_SECONDS] and pauses[2] <= 0.5


def test_retries_end_with_the_last_error(pauses):
    with pytest.raises(FoundApiError, match=r"rate_limited \(429\): too many\. Wait\."):
        client_of(Answers(*[busy() for _ in range(5)])).ready()
    with pytest.raises(FoundApiError, match=r"no_answer \(0\): no answer came: ReadTimeout\. Check the address"):
        client_of(Answers(*[httpx.ReadTimeout("slow") for _ in range(5)])).ready()
    assert len(pauses) == 8


def test_other_errors_and_what_must_not_happen_twice_are_sent_once(pauses):
    for status, ask in (
        (500, lambda found: found.ready()),
        (429, lambda found: found.export("aud_1", "https://crm")),
        (503, lambda found: found.delete("aud_1")),
        (503, lambda found: found.cancel("aud_1")),
    ):
        answers = Answers(busy(status))
        with pytest.raises(FoundApiError):
            ask(client_of(answers))
        assert len(answers.requests) == 1 and pauses == []


def test_an_audience_is_sent_again_with_the_key_that_it_was_sent_with(pauses, found):
    made = found.create_audience("once", demand="tea", size=1).model_dump(mode="json")
    answers = Answers(httpx.ReadTimeout("slow"), httpx.Response(200, json=made))
    assert client_of(answers).create_audience("once", demand="tea", size=1).id == made["id"]
    assert len({request.headers["Idempotency-Key"] for request in answers.requests}) == 1


def test_an_audience_that_takes_its_time_is_waited_for_and_a_failed_one_raises(pauses, found):
    made = found.create_audience("slow", demand="tea", size=1).model_dump(mode="json")
    running_ = httpx.Response(202, json=made | {"status": "running"})
    assert client_of(Answers(running_, httpx.Response(200, json=made))).create_audience("slow", demand="tea").size == 1
    assert pauses == [client.POLL_SECONDS]
    failed = made | {"status": "failed", "error": {"code": "no_seeds", "detail": "none.", "hint": "Give one."}}
    with pytest.raises(FoundApiError, match=r"no_seeds \(200\): none\. Give one\."):
        client_of(Answers(running_, httpx.Response(200, json=failed))).create_audience("slow", demand="tea")
    with pytest.raises(FoundApiError, match=r"not_ready \(202\): the audience aud_\w+ is running after 0 seconds"):
        client_of(Answers(running_)).create_audience("slow", demand="tea", patience=0)


def test_an_answer_that_is_not_founds_is_said(pauses):
    with pytest.raises(FoundApiError, match=r"no_problem \(404\): the answer is none of FOUND\. Check the URL\."):
        client_of(Answers(httpx.Response(404, text="<html>"))).ready()


class BreaksOff(httpx.SyncByteStream):
    def __iter__(self):
        yield b"user_id,score\n"
        raise httpx.RemoteProtocolError("peer closed the connection")


def test_an_answer_that_breaks_off_is_no_answer_and_leaves_no_file(tmp_path):
    def broken() -> FoundClient:
        return client_of(Answers(httpx.Response(200, stream=BreaksOff())))

    for ask in (
        lambda: broken().ready(),
        lambda: list(broken().members("aud_1")),
        lambda: broken().download("aud_1", str(tmp_path / "a.csv")),
    ):
        with pytest.raises(FoundApiError, match=r"no_answer \(0\)|no_problem \(200\)"):
            ask()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("body", ["<html>Sign in</html>", "{}", "[1]", '"x"'])
def test_a_success_of_another_server_is_said(body):
    for ask in (lambda found: found.ready(), lambda found: list(found.members("aud_1"))):
        with pytest.raises(FoundApiError, match=r"no_problem \(200\): the answer is none of FOUND"):
            ask(client_of(Answers(httpx.Response(200, text=body))))


def test_addresses_and_keys_that_cannot_be_are_refused_at_once():
    for url in ("127.0.0.1:8080", "ftp://found", "http://found:port", ""):
        with pytest.raises(FoundApiError, match=r"bad_address \(0\): the address of a server is like http://127"):
            FoundClient(url)
    for key in ("two words", "schlüssel", " "):
        with pytest.raises(FoundApiError, match=r"bad_key \(0\): a key is one word of ASCII"):
            FoundClient("http://found", key)
    answers = Answers(httpx.Response(200, json=READY))
    FoundClient("http://found/", "secret\n", transport=httpx.MockTransport(answers)).ready()
    assert answers.requests[0].headers["Authorization"] == "Bearer secret"


def test_the_client_loads_nothing_of_the_server():
    heavy = ("torch", "numpy", "pymilvus", "feast", "fastapi", "pyarrow", "pandas", "uvicorn", "prometheus_client")
    script = f"import sys, serving.client; print(*sorted(set({heavy!r}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (loaded.returncode, loaded.stdout.split()) == (0, []), loaded.stderr
