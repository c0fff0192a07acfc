"""What a server tells of itself, and that none of it holds a sentence or a user id."""

import json
import logging
import logging.config
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from audience_doubles import new, published, serving
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from serving_doubles import TEXTS

from feature_repo.contracts.errors import FoundError
from serving.desk import Desk
from serving.telemetry import tracing
from serving.telemetry.logs import REQUEST_ID, JsonLines, TextLines, log_config

DEMAND = "a picnic for Zaphod"
USER = "zaphod-0042"
STAGES = {"open", "wait", "read", "encode", "calibrate", "search", "rerank", "features", "reasons", "size"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return published(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def client(settings) -> Iterator[TestClient]:
    with serving(settings) as client:
        yield client


@pytest.fixture
def log() -> Iterator[list[logging.LogRecord]]:
    """Every record of every logger, from INFO on."""
    records: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name != "httpx2":  # the test's own client
                records.append(record)

    root, kept = logging.getLogger(), Kept()
    before = root.level
    root.addHandler(kept)
    root.setLevel(logging.INFO)
    yield records
    root.removeHandler(kept)
    root.setLevel(before)


def metrics_of(client: TestClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of /metrics by name and sorted labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def asked(client: TestClient) -> None:
    assert client.post("/v1/audiences:target", json={"demand": DEMAND, "size": 5}).status_code == 200
    assert client.get(f"/v1/users/{USER}/features").status_code == 404
    assert client.get(f"/no/such/{USER}").status_code == 404
    assert client.request("BREW", "/healthz").status_code == 405


def test_a_question_is_counted_by_route_and_status_and_timed_by_stage(client):
    before = metrics_of(client)

    asked(client)

    after = metrics_of(client)
    grown = {key for key, value in after.items() if value > before.get(key, 0)}
    counted = {labels for name, labels in grown if name == "found_requests_total"}
    assert counted == {
        (("method", "POST"), ("route", "/v1/audiences:target"), ("status", "200")),
        (("method", "GET"), ("route", "/v1/users/{user_id:path}/features"), ("status", "404")),
        (("method", "GET"), ("route", "unmatched"), ("status", "404")),
        (("method", "OTHER"), ("route", "/healthz"), ("status", "405")),
        (("method", "GET"), ("route", "/metrics"), ("status", "200")),
    }
    timed = {dict(labels)["stage"] for name, labels in grown if name == "found_stage_seconds_count"}
    assert timed == STAGES - {"open"}
    opened = {dict(labels)["stage"] for name, labels in after if name == "found_stage_seconds_count"}
    assert opened == STAGES


def test_metrics_tell_what_answers_how_old_it_is_and_what_waits(client):
    client.app.state.tenants["default"].audiences.store.create(new("waits"), now="2024-06-01T09:00:00+00:00")
    found = metrics_of(client)

    told = next(dict(labels) for name, labels in found if name == "found_answering_info")
    assert {name: told[name] for name in ("model_version", "collection", "ds", "template_version")} == {
        "model_version": "v1",
        "collection": "users_v1",
        "ds": "2024-06-01",
        "template_version": "1",
    }
    assert found["found_ready", ()] == 1 and not any(name == "found_unready" for name, _ in found)
    assert found["found_index_age_days", ()] > 900
    assert sum(value for (name, _), value in found.items() if name == "found_audiences") == 1
    assert found["found_questions_waiting", ()] == 0 and found["found_requests_under_way", ()] == 1


def test_metrics_of_a_server_that_is_not_ready_say_why(tmp_path):
    with serving(replace(published(tmp_path / "never"), workdir=str(tmp_path / "empty"))) as client:
        found = metrics_of(client)
    assert found["found_ready", ()] == 0 and found["found_unready", (("code", "index_missing"),)] == 1
    assert not any(name in ("found_index_age_days", "found_answering_info") for name, _ in found)


def test_no_metric_holds_a_sentence_a_user_or_a_path(client):
    asked(client)
    told = client.get("/metrics").text
    assert "zaphod" not in told.lower() and "picnic" not in told and "/no/such" not in told


@pytest.mark.parametrize("given", ["", "has space", "x" * 129, "täg"])
def test_a_request_id_is_taken_over_or_made(client, given):
    own = client.get("/healthz", headers={"X-Request-ID": "Crm.2024-06_01"})
    assert own.headers["x-request-id"] == "Crm.2024-06_01"
    made = client.get("/healthz", headers={"X-Request-ID": given.encode("latin-1")} if given else {})
    assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])


def test_a_fault_of_the_server_has_a_request_id_and_its_log_line_no_message(client, log, monkeypatch):
    def faulty(*_: object) -> None:
        raise RuntimeError(f"cannot look up {USER}")

    monkeypatch.setattr(Desk, "features_of", faulty)
    answer = client.get(f"/v1/users/{USER}/features", headers={"X-Request-ID": "abc"})

    assert answer.status_code == 500 and answer.headers["x-request-id"] == "abc"
    (line,) = [record for record in log if record.name == "serving.requests"]
    assert line.levelname == "ERROR" and line.found["status"] == 500


def test_a_log_line_names_a_request_by_its_route_and_no_line_holds_a_sentence_or_a_user(client, log):
    asked(client)

    lines = [form.format(record) for record in log for form in (JsonLines(), TextLines())]
    assert lines and not [line for line in lines if "zaphod" in line.lower() or "picnic" in line]
    told = [json.loads(JsonLines().format(record)) for record in log if record.name == "serving.requests"]
    assert [(line["method"], line["route"], line["status"]) for line in told] == [
        ("POST", "/v1/audiences:target", 200),
        ("GET", "/v1/users/{user_id:path}/features", 404),
        ("GET", "unmatched", 404),
    ]
    assert all(line["milliseconds"] >= 0 and line["level"] == "INFO" for line in told)


def test_an_error_is_logged_by_type_and_place_in_both_formats():
    given = REQUEST_ID.set("abc")
    try:
        raise ValueError(f"no user {USER}")
    except ValueError:
        record = logging.makeLogRecord({"name": "serving", "levelno": 40, "levelname": "ERROR", "msg": "failed"})
        record.exc_info = sys.exc_info()

    line, text = json.loads(JsonLines().format(record)), TextLines().format(record)
    REQUEST_ID.reset(given)

    assert (line["error"], line["message"], line["request_id"]) == ("ValueError", "failed", "abc")
    assert "test_telemetry.py" in line["traceback"] and "test_telemetry.py" in text
    assert "ERROR serving: failed request_id=abc error=ValueError\n" in text and USER not in text + str(line)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_log_configuration_is_one_that_python_takes(log_format):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logging.config.dictConfig(log_config(log_format))
        assert isinstance(root.handlers[0].formatter, JsonLines if log_format == "json" else TextLines)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        for name in ("pymilvus", "milvus_lite", "feast", "serving", "uvicorn"):
            logging.getLogger(name).setLevel(logging.NOTSET)


def test_an_unknown_log_format_is_refused():
    with pytest.raises(FoundError, match="log_format must be one of text, json, found 'xml'"):
        log_config("xml")


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP collector: its address, and the bodies that it was sent."""
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    server.server_close()


def test_a_request_is_a_span_with_its_stages_below_and_nothing_that_was_asked(tmp_path, collector):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    endpoint, bodies = collector
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with serving(replace(published(tmp_path), otlp_endpoint=endpoint)) as client:
        headers = {"traceparent": f"00-{trace}-{parent}-01"}
        client.post("/v1/audiences:target", json={"demand": DEMAND, "size": 5}, headers=headers)
        client.get(f"/v1/users/{USER}/features")
    assert tracing.span("read").__enter__() is None  # ended with the server

    sent = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    spans = [s for each in sent for r in each.resource_spans for scope in r.scope_spans for s in scope.spans]
    (question,) = [span for span in spans if span.name == "POST /v1/audiences:target"]
    assert (question.trace_id.hex(), question.parent_span_id.hex()) == (trace, parent)
    below = {span.name for span in spans if span.parent_span_id == question.span_id}
    assert {"wait", "read", "encode", "calibrate", "search", "rerank", "reasons", "size"} <= below
    assert any(span.name == "GET /v1/users/{user_id:path}/features" for span in spans)
    everything = b"".join(bodies).lower()
    assert b"zaphod" not in everything and b"picnic" not in everything and TEXTS[0].encode() not in everything


def test_tracing_without_its_packages_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(FoundError, match=r"otlp_endpoint needs OpenTelemetry, .*pip install 'found\[otlp\]'"):
        tracing.start("http://127.0.0.1:9")
