"""Exports by webhook, to a real https server on the loopback: signed, tried again, to allowed hosts alone."""

import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address

import pytest
from audience_doubles import published, serving
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from receiver import Receiver
from test_api import refused

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings
from serving.audiences.addresses import LOOPBACK, Addresses, networks_of
from serving.audiences.errors import ExportAddressRefused, ExportFailed, ExportHostRefused, ExportsDisabled
from serving.audiences.webhook import ATTEMPTS, Receivers, deliver, receivers_of

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


@pytest.fixture
def receiver(certificate):
    with Receiver(certificate).answering() as made:
        yield made


@pytest.fixture
def plain():
    """One without TLS."""
    with Receiver().answering() as made:
        yield made


@pytest.fixture
def receivers(receiver, certificate):
    trusted = ssl.create_default_context(cafile=str(certificate))
    return Receivers((receiver.host,), SECRET, trusted, (0.0,) * (ATTEMPTS - 1), Addresses(LOOPBACK))


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
    stranger = replace(receivers, context=None)
    with pytest.raises(ExportFailed, match="SSLCertVerificationError"):
        sent(stranger, receiver.url)
    assert receiver.got == []


def test_a_server_that_stops_does_not_wait_for_the_next_attempt(receiver, receivers):
    receiver.answers = [500]
    stopped = threading.Event()
    stopped.set()
    patient = replace(receivers, pauses=(60.0,))
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


def resolved(monkeypatch, *addresses: str) -> list[tuple]:
    """Every name has these addresses; the list fills with what was connected to."""
    found = [(None, None, None, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, type: found)
    reached: list[tuple] = []

    def connect(place, timeout):
        reached.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    return reached


INSIDE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1"),
    *("::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "2002:a01:203::1", "2001:0:5ef5:79fb:0:0:f5fe:fdfc"),
]


@pytest.mark.parametrize("address", INSIDE)
def test_a_host_whose_address_is_not_public_is_refused_and_never_connected_to(monkeypatch, address):
    allowed = Receivers(("crm.example.com",), SECRET)
    reached = resolved(monkeypatch, address)

    with pytest.raises(ExportAddressRefused, match=rf"crm.example.com has the address {address}, which is not public"):
        allowed.refuse("https://crm.example.com/")
    monkeypatch.setattr(Receivers, "refuse", lambda *asked: None)
    with pytest.raises(ExportAddressRefused):
        sent(allowed, "https://crm.example.com/")
    assert reached == []


def test_of_several_addresses_the_public_ones_are_tried_and_an_ip_itself_is_looked_at_like_a_name(monkeypatch):
    few = Receivers(("crm.example.com", "10.0.0.1"), SECRET, pauses=())
    reached = resolved(monkeypatch, "10.1.2.3", "93.184.216.34", "2606:2800::1")

    with pytest.raises(ExportFailed, match="in 1 attempts: ConnectionRefusedError"):
        sent(few, "https://crm.example.com/")

    assert reached == [("93.184.216.34", 443), ("2606:2800::1", 443)]
    monkeypatch.undo()
    with pytest.raises(ExportAddressRefused, match=r"10\.0\.0\.1"):
        few.refuse("https://10.0.0.1/")


def test_a_listed_network_is_reached_and_a_name_that_nobody_knows_yet_is_tried_later(monkeypatch):
    own = receivers_of(
        Settings(export_hosts="crm.example.com", export_secret=SECRET, export_networks="10.1.0.0/16, fd00::/8"),
        alone=False,
    )
    reached = resolved(monkeypatch, "10.1.2.3", "10.2.0.1")
    own.refuse("https://crm.example.com/")
    with pytest.raises(ConnectionRefusedError):
        own.addresses.connect("crm.example.com", 443, 1.0)
    assert reached == [("10.1.2.3", 443)] and own.addresses.allow("fd00::1") and not own.addresses.allow("127.0.0.1")

    def unknown(*asked, **more):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    own.refuse("https://crm.example.com/")
    with pytest.raises(ExportFailed, match="gaierror"):
        sent(replace(own, pauses=()), "https://crm.example.com/")


def test_networks_that_are_none_are_told():
    with pytest.raises(FoundError, match=r"export_networks holds networks such as.*10\.0\.0\.1/8 has host bits"):
        networks_of(["10.0.0.1/8"])


def test_a_server_alone_with_its_machine_sends_to_it_without_tls_and_no_other_server_does(plain):
    asked = Settings(export_hosts=f"{plain.host}, crm.example.com", export_secret=SECRET)
    sent(receivers_of(asked, alone=True), plain.url)

    ((path, headers, body),) = plain.got
    assert (path, headers["Host"], body) == ("/audiences?of=found", plain.host, b"one,two")
    with pytest.raises(ExportHostRefused, match="https"):
        receivers_of(asked, alone=False).refuse(plain.url)
    with pytest.raises(ExportHostRefused, match="https"):
        receivers_of(asked, alone=True).refuse("http://crm.example.com/")


@pytest.mark.parametrize(("hosts", "secret"), [((), SECRET), (("h",), "")])
def test_without_hosts_or_secret_nothing_is_sent(hosts, secret):
    with pytest.raises(ExportsDisabled, match="without hosts to export to or without a secret to sign with"):
        Receivers(hosts, secret).refuse("https://h/")


def exporting(root, receiver):
    """A server, alone with its machine, that may send to the receiver."""
    return serving(published(root, export_hosts=receiver.host, export_secret=SECRET))


def settled(client, audience: str) -> dict:
    until = time.monotonic() + 30
    while True:
        (found,) = client.get(f"/v1/audiences/{audience}/exports").json()["data"]
        if found["status"] in ("delivered", "failed"):
            return found
        assert time.monotonic() < until
        time.sleep(0.02)


def test_an_audience_is_exported_without_its_hold_out_and_the_way_it_went_is_shown(tmp_path, plain):
    with exporting(tmp_path, plain) as client:
        asked = {"name": "a", "demand": "a picnic basket", "size": 20, "holdout_share": 0.25}
        name = client.post("/v1/audiences", json=asked).json()["id"]
        made = client.post(f"/v1/audiences/{name}/exports", json={"url": plain.url, "format": "jsonl"}).json()
        assert made["id"].startswith("exp_") and made["audience"] == name and made["model_version"] == "v1"

        found = settled(client, name)

        assert (found["id"], found["status"], found["attempts"], found["error"]) == (made["id"], "delivered", 1, None)
        ((_, headers, body),) = plain.got
        assert body == client.get(f"/v1/audiences/{name}/members?format=jsonl").content
        assert len([json.loads(line) for line in body.splitlines()]) == 15
        assert (headers["Found-Audience"], headers["Found-Model-Version"]) == (name, "v1")
        assert headers["Content-Type"] == "application/jsonl"
        assert client.get("/v1/receivers").json() == {"enabled": True, "hosts": [plain.host]}
        answer = client.post(f"/v1/audiences/{name}/exports", json={"url": "https://evil.com/"})
        refused(answer, status=403, code="export_host_refused", told="exports may not go to 'evil.com'")


def test_a_delivery_that_failed_says_why(tmp_path, plain):
    plain.answers = [400]
    with exporting(tmp_path, plain) as client:
        name = client.post("/v1/audiences", json={"name": "a", "demand": "x"}).json()["id"]
        client.post(f"/v1/audiences/{name}/exports", json={"url": plain.url})
        found = settled(client, name)
    assert (found["status"], found["attempts"]) == ("failed", 1) and "it answered 400" in found["error"]


def test_a_server_that_others_reach_too_sends_nothing_to_its_own_machine(tmp_path, plain):
    given = {"export_hosts": plain.host, "export_secret": SECRET, "require_keys": "always", "admin_key": "k"}
    with serving(published(tmp_path, **given)) as client:
        client.headers["Authorization"] = "Bearer k"
        name = client.post("/v1/audiences", json={"name": "a", "demand": "x"}).json()["id"]
        answer = client.post(f"/v1/audiences/{name}/exports", json={"url": plain.url})
        refused(answer, status=403, code="export_host_refused", told="an export goes to an https address")
        answer = client.post(f"/v1/audiences/{name}/exports", json={"url": f"https://{plain.host}/"})
        refused(answer, status=403, code="export_address_refused", told="127.0.0.1 has the address 127.0.0.1")
        assert client.get(f"/v1/audiences/{name}/exports").json() == {"data": []}
    assert plain.got == []
