"""Several tenants in one server: what each sees of itself is all that it sees."""

import json
import shutil
from pathlib import Path

import pytest
from audience_doubles import USERS, new, published, serving
from hostile import HOSTILE
from serving_doubles import DAY, bought, embedded, user_name, write_embeddings, write_features, write_profile
from test_api import refused

from feature_repo.contracts.settings import Settings
from serving import running
from serving.access.callers import Callers
from serving.access.errors import InvalidAccess, KeysMissing
from serving.access.keys import Keys
from serving.access.roles import Role
from serving.access.tenant_file import tenant_settings
from serving.cli import main
from serving.index import open_index
from serving.publish import publish

ONLY_SHOP, ONLY_BANK = "only-in-shop", "only-in-bank"


def publish_world(root: Path, own_user: str) -> None:
    """Forty users who have the same names in every tenant, but the last."""
    settings = Settings(workdir=str(root), horizon_days=30)
    users = embedded(USERS)
    users[own_user] = users.pop(user_name(USERS - 1))
    texts = bought(USERS)
    texts[own_user] = texts.pop(user_name(USERS - 1))
    write_embeddings(settings.work, DAY, users, texts=texts)
    write_profile(settings.work, DAY, {"age": [20.0 + at for at in range(USERS)]})
    write_features(settings, DAY, USERS)
    with open_index(settings) as index:
        publish(index, settings.work, DAY)


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    root = tmp_path_factory.mktemp("tenants")
    publish_world(root / "shop", ONLY_SHOP)
    publish_world(root / "bank", ONLY_BANK)
    (root / "tenants.toml").write_text(
        '[shop]\nworkdir = "shop"\nminimum_audience = 0\n[bank]\nworkdir = "bank"\nminimum_audience = 0\n'
    )
    return Settings(tenants=str(root / "tenants.toml"), requests_per_minute=0)


@pytest.fixture(scope="module")
def keys(settings) -> dict[str, dict[str, str]]:
    made = {}
    for name, own in tenant_settings(settings).items():
        _, text = Keys(own.work.keys).create(name=name, role="admin")
        made[name] = {"Authorization": f"Bearer {text}"}
    return made


@pytest.fixture(scope="module")
def client(settings, keys):
    with serving(settings) as client:
        yield client


@pytest.fixture(scope="module")
def audience(client, keys) -> dict:
    """One of the bank's."""
    asked = {"name": "secret plan", "demand": "a picnic basket", "size": USERS}
    answer = client.post("/v1/audiences", json=asked, headers=keys["bank"] | {"Idempotency-Key": "k"})
    assert answer.status_code == 200 and answer.json()["size"] == USERS
    return answer.json()


def test_the_key_decides_whose_users_answer(client, keys):
    for name, own, other in (("shop", ONLY_SHOP, ONLY_BANK), ("bank", ONLY_BANK, ONLY_SHOP)):
        asked = {"demand": "a picnic basket", "size": USERS}
        users = {
            u["user_id"] for u in client.post("/v1/audiences:target", json=asked, headers=keys[name]).json()["users"]
        }
        assert own in users and other not in users and len(users) == USERS
        for path in ("/v1/audiences:lookalike",):
            answer = client.post(path, json={"positives": [own, "u001"], "size": USERS}, headers=keys[name])
            assert answer.status_code == 200 and other not in answer.text
            answer = client.post(path, json={"positives": [other, "u001"]}, headers=keys[name])
            refused(answer, status=404, code="unknown_users", told=f"holds no user {other!r}")
        refused(client.get("/v1/audiences"), status=401, code="unauthorized", told="carries no key")


def test_nothing_that_names_a_tenant_is_heard(client, keys):
    told = {"X-Tenant": "bank", "Tenant": "bank", "Host": "bank", "X-Forwarded-Host": "bank", "Cookie": "tenant=bank"}
    assert ONLY_BANK not in client.get("/v1/audiences?tenant=bank", headers=keys["shop"] | told).text
    answer = client.post("/v1/audiences:target", json={"demand": "tea", "tenant": "bank"}, headers=keys["shop"])
    refused(answer, status=422, code="invalid_request", told="body.tenant: Extra inputs are not permitted")


def test_an_id_of_another_tenant_is_as_unknown_as_one_that_never_was(client, keys, audience):
    def answers(name: str) -> list[tuple[int, dict]]:
        path, body = f"/v1/audiences/{name}", {"name": "mine now"}
        export = {"url": "https://crm.example.com/x"}
        given = [
            client.get(path, headers=keys["shop"]),
            client.patch(path, json=body, headers=keys["shop"]),
            client.post(f"{path}:cancel", headers=keys["shop"]),
            client.get(f"{path}/members", headers=keys["shop"]),
            client.get(f"{path}/exports", headers=keys["shop"]),
            client.post(f"{path}/exports", json=export, headers=keys["shop"]),
            client.get(f"{path}/map", headers=keys["shop"]),
            client.post("/v1/audiences:compare", json={"audiences": [name, name]}, headers=keys["shop"]),
            client.delete(path, headers=keys["shop"]),
        ]
        return [(a.status_code, json.loads(a.text.replace(name, "ID"))) for a in given]

    never = "aud_" + "0" * 24
    assert answers(audience["id"]) == answers(never)
    assert {status for status, _ in answers(never)} == {404, 403}  # 403: exports are disabled, for everybody
    assert client.get(f"/v1/audiences/{audience['id']}", headers=keys["bank"]).json() == audience


def test_pages_cursors_and_idempotency_keys_belong_to_a_tenant(client, keys, audience):
    for _ in range(3):
        client.post("/v1/audiences", json={"name": "n", "demand": "lunch", "size": 3}, headers=keys["bank"])
    cursor = client.get("/v1/audiences?limit=1", headers=keys["bank"]).json()["next_cursor"]
    for query in ("", f"?cursor={cursor}", "?limit=100&status=ready"):
        assert client.get(f"/v1/audiences{query}", headers=keys["shop"]).json()["data"] == []

    asked = {"name": "another", "demand": "garden", "size": 3}
    mine = client.post("/v1/audiences", json=asked, headers=keys["shop"] | {"Idempotency-Key": "k"})

    assert mine.status_code == 200 and "Idempotent-Replayed" not in mine.headers and mine.json()["name"] == "another"
    client.delete(f"/v1/audiences/{mine.json()['id']}", headers=keys["shop"])


def test_what_one_tenant_erases_the_other_keeps(client, keys):
    assert client.delete("/v1/users/u005", headers=keys["shop"]).json()["known"]
    asked = {"demand": "garden plant", "size": USERS}
    found = {
        name: "u005" in client.post("/v1/audiences:target", json=asked, headers=key).text for name, key in keys.items()
    }
    assert found == {"shop": False, "bank": True}
    assert client.get("/v1/users/u005/features", headers=keys["bank"]).status_code == 200
    assert client.get("/v1/users/u005/features", headers=keys["shop"]).status_code == 404


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_in_any_field_reaches_another_tenant(client, keys, audience, text):
    """Sent as a demand, an edited sentence, a filter, a seed, an excluded user, a name, an id, a key."""
    filters = [{"field": "age", "op": "=", "value": text}, {"field": text, "op": "=", "value": text}]
    bodies = [
        {"demand": text},
        {"demand": "", "sentences": [{"text": text}]},
        {"demand": "tea", "exclude_users": [text]},
        *({"demand": "tea", "filters": [each]} for each in filters),
        {"demand": "tea", "conditions": [{"kind": text, "field": text, "value": text}]},
    ]
    header = text.encode("utf-8", "replace").replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
    given = [
        *(client.post("/v1/audiences:target", json={"size": USERS} | body, headers=keys["shop"]) for body in bodies),
        client.post("/v1/audiences:lookalike", json={"positives": [text, "u001"]}, headers=keys["shop"]),
        client.post("/v1/audiences:compare", json={"audiences": [text, audience["id"]]}, headers=keys["shop"]),
        client.post("/v1/users:similar", json={"user_id": text or " "}, headers=keys["shop"]),
        client.get(
            "/v1/audiences", headers=keys["shop"] | {"Idempotency-Key": b"x" + header, "X-Tenant": b"x" + header}
        ),
        client.get("/v1/audiences", headers={"Authorization": b"Bearer " + header}),
    ]
    for answer in given:
        assert (
            answer.status_code < 500
            and ONLY_BANK not in answer.text
            and audience["id"] not in answer.text.replace(f"no audience '{audience['id']}'", "")
        ), answer.text
    for answer in given[: len(bodies)]:
        if answer.status_code == 200:
            users = [user["user_id"] for user in answer.json()["users"]]
            assert set(users) <= {ONLY_SHOP, *map(user_name, range(USERS - 1))} and len(users) == len(set(users))


def test_readiness_without_a_key_tells_of_no_tenant(client, keys):
    assert client.get("/readyz").json() == {
        "status": "ready",
        "model_version": "",
        "collection": "",
        "ds": "",
        "template_version": 0,
    }
    assert client.get("/readyz", headers=keys["shop"]).json()["collection"] == "users_v1"


def test_each_tenant_has_its_own_record_and_finds_the_server(client, keys, settings):
    found = tenant_settings(settings)
    before = {name: records(own) for name, own in found.items()}

    client.get("/v1/audiences", headers=keys["shop"])
    client.get("/v1/audiences", headers={"Authorization": "Bearer found_000000000000_x"})

    after = {name: records(own) for name, own in found.items()}
    assert after["bank"] == before["bank"] and len(after["shop"]) == len(before["shop"]) + 1
    assert {line["tenant"] for line in after["shop"]} == {"shop"}
    for own in found.values():
        assert json.loads((own.work.root / "server.json").read_text())["instance"]


def records(settings: Settings) -> list[dict]:
    return [json.loads(line) for path in settings.work.audit.glob("*") for line in path.read_text().splitlines()]


def test_a_new_tenant_does_not_turn_the_server_red_but_none_at_all_does(tmp_path):
    settings = tenants(tmp_path, "[one]\nworkdir='one'\n[two]\nworkdir='two'\n")
    keys = {}
    for name, own in tenant_settings(settings).items():
        keys[name] = {"Authorization": f"Bearer {Keys(own.work.keys).create(name='n', role='admin')[1]}"}
    with serving(settings) as client:
        refused(client.get("/readyz"), status=503, code="index_missing", told="no tenant of this server")
        publish_rows(tenant_settings(settings)["two"])
        assert client.post("/v1/admin/publish", json={"ds": str(DAY)}, headers=keys["two"]).status_code == 200
        assert client.get("/readyz").status_code == 200
        answer = client.get("/readyz", headers=keys["one"])
        refused(answer, status=503, code="index_missing", told="no collection is published")
    assert running.server_of(tenant_settings(settings)["two"].work) is None


def publish_rows(settings: Settings) -> None:
    write_embeddings(settings.work, DAY, embedded(USERS), texts=bought(USERS))
    write_features(settings, DAY, USERS)


def tenants(folder: Path, text: str, **given: object) -> Settings:
    path = folder / "tenants.toml"
    path.write_text(text)
    return Settings(tenants=str(path), **given)


SERVER = 'milvus_uri = "http://m:1"\n'
REDIS = 'online_store = "redis"\nredis = "h:1,db=3"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names none"),
        ("[", "cannot be read"),
        ("[A]\nworkdir='a'", "a tenant's name has small letters, digits"),
        ("a = 1", "a tenant is a table, as in"),
        ("[a]\nport=1\nworkdir='a'", "the tenant a sets port; it may set lake, workdir"),
        ("[a]\nlake='l'", "the tenant a has no workdir"),
        ("[a]\nworkdir='a'\nhorizon_days='x'", "the tenant a: horizon_days must be a whole number"),
        ("[a]\nworkdir='w'\n[b]\nworkdir='w/../w'", "a and b share the work directory"),
        ("[a]\nworkdir='w'\n[b]\nworkdir='w/b'", "a and b share the work directory"),
        (f"[a]\nworkdir='a'\n{SERVER}[b]\nworkdir='b'\n{SERVER}", "share the database 'default' of the Milvus server"),
        (f"[a]\nworkdir='a'\n{REDIS}[b]\nworkdir='b'\n{REDIS}", "share one database of Redis"),
        *(
            (f"[a]\nworkdir='a'\n{one}[b]\nworkdir='b'\n{other}", "share ")
            for one, other in (
                (SERVER, 'milvus_uri = "HTTP://M:1/"\nmilvus_database = "default"\n'),
                ('milvus_uri = "http://m"\n', 'milvus_uri = "http://m:19530"\n'),
                (REDIS, REDIS.replace("h:1,db=3", "H:1, ssl=true, db=3")),
                (REDIS.replace(",db=3", ""), REDIS.replace("db=3", "db=0")),
            )
        ),
    ],
)
def test_tenants_that_share_a_place_or_are_none_are_refused(tmp_path, text, told):
    with pytest.raises(InvalidAccess, match=told):
        tenant_settings(tenants(tmp_path, text))


def test_a_tenant_inherits_what_is_not_its_own_alone(tmp_path):
    text = f"[a]\nworkdir='a'\nsuppressed_users='s.txt'\n{SERVER}milvus_database='a'\n[b]\nworkdir='/b'\n{SERVER}"
    server = {"lake": "/l", "export_hosts": "h", "export_secret": "s", "suppressed_users": "/s", "denied_fields": "x"}

    found = tenant_settings(tenants(tmp_path, text, **server))

    assert (found["a"].workdir, found["b"].workdir) == (str(tmp_path / "a"), "/b")
    assert (found["a"].suppressed_users, found["b"].suppressed_users) == (str(tmp_path / "s.txt"), "")
    for own in found.values():
        assert (own.lake, own.export_hosts, own.export_secret, own.denied_fields) == ("", "", "", "x")
    missing = Settings(tenants=str(tmp_path / "no.toml"))
    with pytest.raises(InvalidAccess, match=r"no\.toml cannot be read"):
        tenant_settings(missing)
    with pytest.raises(InvalidAccess, match="FOUND_ADMIN_KEY names no tenant"):
        tenant_settings(tenants(tmp_path, text, admin_key="k"))
    with pytest.raises(KeysMissing):
        Callers(tenants(tmp_path, "[a]\nworkdir='a'\n")).refuse_unguarded()


def test_keys_are_made_for_a_tenant_by_name(tmp_path, monkeypatch, capsys):
    settings = tenants(tmp_path, "[a]\nworkdir='a'\n[b]\nworkdir='b'\n")
    monkeypatch.setenv("FOUND_TENANTS", settings.tenants)
    assert main(["keys", "create"]) == 2
    assert "name the tenant with --tenant: a, b." in capsys.readouterr().err
    assert main(["keys", "create", "--tenant", "b"]) == 0
    text = capsys.readouterr().out.splitlines()[0]
    found = {name: Keys(own.work.keys).holder(text) for name, own in tenant_settings(settings).items()}
    assert found["a"] is None and found["b"] is not None and found["b"].role is Role.ANALYST


def test_an_audience_store_of_one_tenant_is_no_place_for_another(tmp_path):
    """Even where two tenants' stores were one file, the store's own tenant would keep them apart."""
    from serving.audiences.database import Database
    from serving.audiences.errors import AudienceMissing
    from serving.audiences.store import AudienceStore

    made = published(tmp_path)
    one, other = (AudienceStore(Database(made.work.audiences), tenant=name) for name in ("one", "other"))
    stored, _ = one.create(new(), now="2024-06-01T09:00:00+00:00")
    with pytest.raises(AudienceMissing):
        other.get(stored.id)
    assert other.page(limit=9) == [] and other.claim() is None and one.claim() is not None
    shutil.rmtree(tmp_path / "audiences")
