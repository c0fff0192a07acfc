"""Exports by webhook, to a real https server on the loopback: signed, tried again, to allowed hosts alone."""

import hashlib
import hmac
import json
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
from audience_doubles import open_desk, published
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi.testclient import TestClient
from test_api import refused

from serving.app import create_app
from serving.audiences import service
from serving.audiences.errors import ExportFailed, ExportHostRefused, ExportsDisabled
from serving.audiences.webhook import ATTEMPTS, Receivers, deliver

SECRET = "shared secret"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *plain) + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Receiver:
    """Answers with the next of `answers`, the last of them for ever, and keeps what it was sent."""

    def __init__(self, certificate) -> None:
        self.answers, self.got = [200], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, dict(self.headers), body))
                status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "https://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"https://{self.host}/audiences?of=found"


@pytest.fixture
def receiver(certificate):
    made = Receiver(certificate)
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def receivers(receiver, certificate):
    trusted = ssl.create_default_context(cafile=str(certificate))
    return Receivers((receiver.host,), SECRET, trusted, pauses=(0.0,) * (ATTEMPTS - 1))


def sent(receivers: Receivers, url: str, *, stopped: threading.Event | None = None) -> list[int]:
    tried: list[int] = []
    body = partial(iter, [b"one,", b"two"])
    deliver(receivers, url, body, {"Found-Export": "exp_1"}, tried=tried.append, stopped=stopped or threading.Event())
    return tried


def test_the_receiver_gets_the_bytes_and_a_signature_that_it_can_check(receiver, receivers):
    assert sent(receivers, receiver.url) == [1]

    ((path, headers, body),) = receiver.got
    assert (path, body, headers["Found-Export"]) == ("/audiences?of=found", b"one,two", "exp_1")
    seconds, signed = (part.split("=")[1] for part in headers["Found-Signature"].split(","))
    assert hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest() == signed
    assert abs(int(seconds) - time.time()) < 60


def test_a_receiver_that_fails_for_a_while_is_tried_again_with_the_same_bytes(receiver, receivers):
    receiver.answers = [503, 429, 204]
    assert sent(receivers, receiver.url) == [1, 2, 3]
    assert {body for _, _, body in receiver.got} == {b"one,two"}


def test_a_receiver_that_never_answers_well_is_given_up(receiver, receivers):
    receiver.answers = [500]
    with pytest.raises(ExportFailed, match=f"did not take the export in {ATTEMPTS} attempts: it answered 500"):
        sent(receivers, receiver.url)
    assert len(receiver.got) == ATTEMPTS


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_an_answer_that_will_not_change_is_not_asked_for_again_and_a_redirect_is_not_followed(
    receiver, receivers, status
):
    receiver.answers = [status]
    with pytest.raises(ExportFailed, match=f"in 1 attempts: it answered {status}"):
        sent(receivers, receiver.url)
    assert len(receiver.got) == 1


def test_a_certificate_that_nobody_trusts_gets_nothing(receiver, receivers):
    stranger = Receivers(receivers.hosts, SECRET, pauses=receivers.pauses)
    with pytest.raises(ExportFailed, match="SSLCertVerificationError"):
        sent(stranger, receiver.url)
    assert receiver.got == []


def test_a_server_that_stops_does_not_wait_for_the_next_attempt(receiver, receivers):
    receiver.answers = [500]
    stopped = threading.Event()
    stopped.set()
    patient = Receivers(receivers.hosts, SECRET, receivers.context, pauses=(60.0,))
    with pytest.raises(ExportFailed, match="in 1 attempts"):
        sent(patient, receiver.url, stopped=stopped)


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example.com/",
        "https://crm.example.com:8443/",
        "https://crm.example.com.evil.com/",
        "https://evil.com/crm.example.com",
        "https://crm.example.com@evil.com/",
        "https://user:pw@crm.example.com/",
        "https://evil.com#crm.example.com",
        "https://[::1]/",
        "https://[crm.example.com/",
        "https://crm.example.com:port/",
        "https:///x",
        "file:///etc/passwd",
        "//crm.example.com/",
        "crm.example.com",
        "https://crm.example.com\r\nX: y/",
    ],
)
def test_only_https_addresses_of_allowed_hosts_pass(url):
    with pytest.raises(ExportHostRefused):
        Receivers(("crm.example.com",), SECRET).refuse(url)


def test_an_allowed_host_passes_in_any_case_with_or_without_the_port_of_https():
    allowed = Receivers(("CRM.example.com", "other.example.com:8443"), SECRET)
    for url in ("https://crm.EXAMPLE.com/x?y#z", "https://crm.example.com:443/", "https://other.example.com:8443"):
        allowed.refuse(url)


@pytest.mark.parametrize(("hosts", "secret"), [((), SECRET), (("h",), "")])
def test_without_hosts_or_secret_nothing_is_sent(hosts, secret):
    with pytest.raises(ExportsDisabled, match="without hosts to export to or without a secret to sign with"):
        Receivers(hosts, secret).refuse("https://h/")


@contextmanager
def exporting(root, receivers, monkeypatch):
    monkeypatch.setattr(service, "Receivers", lambda hosts, secret: receivers)
    with TestClient(create_app(published(root), open_desk=open_desk), raise_server_exceptions=False) as client:
        yield client


def settled(client, audience: str) -> dict:
    until = time.monotonic() + 30
    while True:
        (found,) = client.get(f"/v1/audiences/{audience}/exports").json()["data"]
        if found["status"] in ("delivered", "failed"):
            return found
        assert time.monotonic() < until
        time.sleep(0.02)


def test_an_audience_is_exported_without_its_hold_out_and_the_way_it_went_is_shown(
    tmp_path, receiver, receivers, monkeypatch
):
    with exporting(tmp_path, receivers, monkeypatch) as client:
        asked = {"name": "a", "demand": "a picnic basket", "size": 20, "holdout_share": 0.25}
        name = client.post("/v1/audiences", json=asked).json()["id"]
        made = client.post(f"/v1/audiences/{name}/exports", json={"url": receiver.url, "format": "jsonl"}).json()
        assert made["id"].startswith("exp_") and made["audience"] == name and made["model_version"] == "v1"

        found = settled(client, name)

        assert (found["id"], found["status"], found["attempts"], found["error"]) == (made["id"], "delivered", 1, None)
        ((_, headers, body),) = receiver.got
        assert body == client.get(f"/v1/audiences/{name}/members?format=jsonl").content
        assert len([json.loads(line) for line in body.splitlines()]) == 15
        assert (headers["Found-Audience"], headers["Found-Model-Version"]) == (name, "v1")
        assert headers["Content-Type"] == "application/jsonl"
        answer = client.post(f"/v1/audiences/{name}/exports", json={"url": "https://evil.com/"})
        refused(answer, status=403, code="export_host_refused", told="exports may not go to 'evil.com'")


def test_a_delivery_that_failed_says_why(tmp_path, receiver, receivers, monkeypatch):
    receiver.answers = [400]
    with exporting(tmp_path, receivers, monkeypatch) as client:
        name = client.post("/v1/audiences", json={"name": "a", "demand": "x"}).json()["id"]
        client.post(f"/v1/audiences/{name}/exports", json={"url": receiver.url})
        found = settled(client, name)
    assert (found["status"], found["attempts"]) == ("failed", 1) and "it answered 400" in found["error"]
