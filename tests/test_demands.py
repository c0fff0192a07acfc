"""Sentences as people write them, through the API on a real Milvus Lite and a real Feast online store."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from audience_doubles import open_desk, serving
from hostile import HOSTILE
from serving_doubles import (
    DAY,
    TEXTS,
    WordModel,
    bought,
    embedded,
    user_name,
    words_vector,
    write_embeddings,
    write_features,
    write_profile,
)

from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import NOTHING
from model.combining import combined, log_odds
from serving.index import open_index
from serving.preview import deciles, precision
from serving.publish import publish
from serving.question import Asked

USERS = 48
AGES = [float(20 + at) if at % 6 else None for at in range(USERS)]
GENDERS = ["female" if at % 2 else "male" for at in range(USERS)]
CONSENT = ["false" if at % 12 == 5 else "true" for at in range(USERS)]
CREEDS = ["a", "b"] * (USERS // 2)
PROFILE = {"age": AGES, "gender": GENDERS, "consent": CONSENT, "religion": CREEDS}
COUNTS = [float(at % 5) for at in range(USERS)]
RECENCY = [float(at) if at else -1.0 for at in range(USERS)]
ACTIVITY = {"bills_count": [2.0] * USERS, "bills_count_30d": COUNTS, "bills_recency_days": RECENCY}
PICNIC = {user_name(at) for at in range(0, USERS, len(TEXTS))}
SUPPRESSED = user_name(40)
WOMEN = {user_name(at) for at in range(USERS) if GENDERS[at] == "female"}
OVER_30 = {user_name(at) for at in range(USERS) if (AGES[at] or 0) > 30}
NO_CONSENT = {user_name(at) for at in range(USERS) if CONSENT[at] == "false"}
LEFT_OUT = NO_CONSENT | {SUPPRESSED}


def set_up(folder, **changed) -> Settings:
    suppressed = folder / "suppressed.txt"
    suppressed.write_text(f"{SUPPRESSED}\n\n")
    given = {"default_filters": "consent = true", "suppressed_users": str(suppressed), "admin_key": "k"}
    given |= {"minimum_audience": 0} | changed
    settings = Settings(workdir=str(folder / "work"), **given)
    write_embeddings(settings.work, DAY, embedded(USERS), texts=bought(USERS))
    write_profile(settings.work, DAY, PROFILE)
    write_features(settings, DAY, USERS, activity=ACTIVITY)
    with open_index(settings) as index:
        publish(index, settings.work, DAY, denied=settings.names("denied_fields"))
    return settings


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    settings = set_up(tmp_path_factory.mktemp("demands"))
    with serving(settings) as client:
        yield client


def ask(client, demand: str = "", *, kind: str = "target", **asked) -> dict:
    answer = client.post(f"/v1/audiences:{kind}", json={"demand": demand, "size": USERS, **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()


def users(audience: dict) -> set[str]:
    return {user["user_id"] for user in audience["users"]}


def score_of(user: str, query: np.ndarray) -> float:
    """What WordModel says of a user of these tests."""
    texts = (TEXTS[int(user[1:]) % len(TEXTS)], "old thing")
    near = sum(float(words_vector(text) @ query[1:]) for text in texts)
    return float(embedded(USERS)[user][0] @ query) + float(np.log1p(near))


def refused(client, status: int, code: str, told: str, **asked) -> None:
    answer = client.post("/v1/audiences:target", json=asked)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert told in problem["detail"]


@pytest.mark.parametrize(
    "demand", ["a picnic basket", "Garden plant fans", "customers who will buy lunch bags or cake stands"]
)
def test_a_demand_about_things_is_read_as_it_was_written(client, demand):
    audience = ask(client, demand)

    query = WordModel("v1").read_demands([demand], DAY)[0].vector
    for user in audience["users"]:
        assert user["score"] == pytest.approx(score_of(user["user_id"], query), rel=1e-5)
    assert all(said.startswith("will ") for said in audience["rewritten"].pop("conditions"))
    assert audience["rewritten"] == {
        "sentences": [{"text": demand, "negated": False, "joined": "and"}],
        "history": [],
        "not_understood": "",
        "warnings": [],
    }
    assert audience["filters"] == []


def test_consent_and_the_suppression_list_apply_to_every_question(client):
    everybody = {user_name(at) for at in range(USERS)} - LEFT_OUT

    assert users(ask(client, "a picnic basket")) == everybody
    assert users(ask(client, kind="lookalike", positives=[user_name(0)], negatives=[user_name(1)])) == everybody - {
        user_name(0),
        user_name(1),
    }
    assert ask(client, "a picnic basket")["default_filters"] == [{"field": "consent", "op": "=", "value": True}]
    lifted = ask(client, "a picnic basket", filters=[{"field": "consent", "op": "in", "value": ["true", "false"]}])
    assert users(lifted) == everybody


def test_what_users_are_becomes_filters_that_are_shown(client):
    audience = ask(client, "Women over 30 who will buy a picnic basket")

    assert users(audience) == (WOMEN & OVER_30) - LEFT_OUT
    assert audience["filters"] == [
        {"field": "gender", "op": "=", "value": "female"},
        {"field": "age", "op": ">", "value": 30},
    ]
    assert [s["text"] for s in audience["rewritten"]["sentences"]] == ["Customers who will buy picnic basket"]


@pytest.mark.parametrize("demand", ["Lapsing customers", "customers who will stop buying"])
def test_inactivity_is_asked_in_the_templates_words(client, demand):
    audience = ask(client, demand)

    assert [(s["text"], s["negated"]) for s in audience["rewritten"]["sentences"]] == [(NOTHING, False)]
    assert [u["user_id"] for u in audience["users"]] == [u["user_id"] for u in ask(client, NOTHING)["users"]]


@pytest.mark.parametrize(
    ("demand", "expected"),
    [
        ("customers who bought garden plants", lambda at: at % 4 == 1),
        ("customers who have never bought garden plants", lambda at: at % 4 != 1),
        ("customers who bought garden plants or lunch bags", lambda at: at % 4 in (1, 2)),
        ("customers who bought a cake stand in the last 30 days", lambda at: at % 4 == 3),
        ("customers who bought an old thing in the last 30 days", lambda at: False),
        ("customers who have not bought an old thing in the last 30 days", lambda at: True),
        ("customers who have not purchased in the last 20 days", lambda at: at == 0 or at > 20),
        ("customers who purchased in the last 20 days", lambda at: 0 < at <= 20),
        ("customers who bought more than 3 times in the last 30 days", lambda at: at % 5 > 3),
    ],
)
def test_what_users_did_is_checked_on_their_histories(client, demand, expected):
    assert users(ask(client, demand)) == {user_name(at) for at in range(USERS) if expected(at)} - LEFT_OUT


def test_a_negated_wish_is_its_complement(client):
    wanted = {u["user_id"]: u["probability"] for u in ask(client, "customers who will buy garden plants")["users"]}
    others = ask(client, "customers who will not buy garden plants")

    assert others["rewritten"]["sentences"][0]["negated"]
    for user in others["users"]:
        text = WordModel("v1").read_demands(["Customers who will buy garden plants"], DAY)[0].vector
        assert user["probability"] == pytest.approx(1 / (1 + np.exp(score_of(user["user_id"], text))))
    assert [u["probability"] for u in others["users"]] == sorted(
        (u["probability"] for u in others["users"]), reverse=True
    )
    assert set(wanted) == users(others)


@pytest.mark.parametrize("joint", ["and", "or"])
def test_intents_of_two_kinds_are_asked_one_by_one(client, joint):
    audience = ask(client, f"users who will buy a picnic basket {joint} will search for a lunch bag")

    asked = audience["rewritten"]["sentences"]
    assert [s["joined"] for s in asked] == ["and", joint]
    both = WordModel("v1").read_demands([s["text"] for s in asked], DAY)
    for user in audience["users"]:
        one, two = (1 / (1 + np.exp(-score_of(user["user_id"], each.vector))) for each in both)
        expected = one * two if joint == "and" else 1 - (1 - one) * (1 - two)
        assert user["probability"] == pytest.approx(expected)
        assert user["score"] == pytest.approx(np.log(expected / (1 - expected)))


def test_combined_probabilities_equal_the_formula():
    asked = (Asked("a"), Asked("b", joined="or"), Asked("c", negated=True), Asked("d", joined="or"))
    a, b, c, d = np.random.default_rng(1).random((4, 9))

    found = combined(asked, [a, b, c, d])

    np.testing.assert_allclose(found, (1 - (1 - a) * (1 - b)) * (1 - c * (1 - d)))
    np.testing.assert_allclose(combined(asked[:1], [a]), a)
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds(a))), a)
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


def test_an_answer_asked_again_gives_the_same_audience_and_an_edited_one_another(client):
    demand = "Women over 30 who bought cake stands and will buy a picnic basket"
    first = ask(client, demand)

    again = ask(client, demand, conditions=first["conditions"], sentences=first["rewritten"]["sentences"])
    assert again["users"] == first["users"]
    edited = [c for c in first["conditions"] if c.get("column") != "gender"]
    assert (
        users(ask(client, conditions=edited))
        == {user_name(at) for at in range(USERS) if at % 4 == 3 and (AGES[at] or 0) > 30} - LEFT_OUT
    )
    said = ask(client, sentences=[{"text": "garden plant"}])
    assert said["users"] and said["rewritten"]["sentences"][0]["text"] == "garden plant"


def test_filters_and_exclusions_of_the_request(client):
    asked = {"filters": [{"field": "age", "op": "<=", "value": 40}], "exclude_users": [user_name(1), "nobody"]}
    under = {user_name(at) for at in range(USERS) if AGES[at] and AGES[at] <= 40}

    assert users(ask(client, "a picnic basket", **asked)) == under - LEFT_OUT - {user_name(1)}
    found = ask(client, kind="lookalike", positives=[user_name(2)], negatives=[user_name(3)], **asked)
    assert users(found) == under - LEFT_OUT - {user_name(at) for at in (1, 2, 3)}
    either = {"any": [{"field": "gender", "op": "=", "value": "male"}, {"field": "age", "op": ">", "value": 60}]}
    assert (
        users(ask(client, "a picnic basket", filters=[either]))
        == {user_name(at) for at in range(USERS) if GENDERS[at] == "male" or (AGES[at] or 0) > 60} - LEFT_OUT
    )


def test_a_preview_is_the_audience_in_figures(client):
    asked = {"filters": [{"field": "gender", "op": "=", "value": "female"}], "size": 20}
    audience = ask(client, "a picnic basket", **asked)

    preview = ask(client, "a picnic basket", kind="preview", **asked)

    probabilities = [user["probability"] for user in audience["users"]]
    assert (preview["size"], preview["eligible"]) == (20, len(WOMEN - LEFT_OUT))
    assert preview["audience"]["users"] == audience["users"][:10]
    assert {n: preview["audience"][n] for n in ("conditions", "filters", "rewritten")} == {
        n: audience[n] for n in ("conditions", "filters", "rewritten")
    }
    assert preview["expected_precision"] == pytest.approx(np.mean(probabilities))
    low, high = preview["expected_precision_interval"]
    assert 0 <= low < preview["expected_precision"] < high <= 1
    assert [d["users"] for d in preview["deciles"]] == [2] * 10
    assert sum(d["expected"] for d in preview["deciles"]) == pytest.approx(sum(probabilities))
    assert not preview["eligible_is_upper_bound"]
    windowed = ask(client, "customers who bought a cake stand in the last 30 days", kind="preview")
    assert windowed["eligible_is_upper_bound"] and windowed["eligible"] == windowed["size"]


def test_precision_and_deciles_by_hand():
    p = np.array([0.9, 0.5, 0.1])

    mean, (low, high) = precision(p)

    half = 1.959964 * np.sqrt(0.09 + 0.25 + 0.09) / 3
    assert (mean, low, high) == (0.5, pytest.approx(0.5 - half), pytest.approx(0.5 + half))
    assert [(d.users, d.expected) for d in deciles(p)] == [(1, 0.9), (1, 0.5), (1, 0.1)]
    assert precision(np.zeros(0)) == (0.0, (0.0, 1.0)) and deciles(np.zeros(0)) == ()


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ({"demand": "x" * 1001}, "demand_too_long", "at most 1000 characters, found 1001"),
        ({"demand": "Kunden, die bald Tee kaufen"}, "other_language", "seems to be in German"),
        ({"demand": "客户会买茶"}, "other_language", "seems to be in Cjk script"),
        ({"demand": "x", "sentences": [{"text": "des gens qui achètent"}]}, "other_language", "in French"),
        ({"demand": "x", "sentences": []}, "invalid_conditions", "has 1 to 8 sentences, found 0"),
        ({"sentences": [{"text": "x", "joined": "or"}]}, "invalid_conditions", "the first sentence's 'and'"),
        ({"conditions": [{"kind": "sql"}]}, "invalid_conditions", "kind in a rewritten demand must be one of"),
        (
            {"demand": "x", "filters": [{"field": "religion", "op": "=", "value": "a"}]},
            "denied_filter_field",
            "religion",
        ),
        (
            {"demand": "x", "filters": [{"field": "wage", "op": "=", "value": 1}]},
            "unknown_filter_field",
            "no column 'wage'",
        ),
        ({"demand": "x", "filters": [{"field": "age", "op": "=", "value": "1"}]}, "invalid_filter", "age is a number"),
        (
            {"demand": "x", "filters": [{"field": "age", "op": "~", "value": 1}]},
            "invalid_request",
            "op: Input should be",
        ),
        ({"demand": "x", "filters": [{"field": "age", "op": "=", "value": {"a": 1}}]}, "invalid_request", "value"),
        ({"demand": "x", "exclude_users": [""]}, "invalid_request", "exclude_users.0"),
    ],
)
def test_what_is_no_demand_has_an_error_of_its_own(client, asked, code, told):
    refused(client, 422, code, told, **asked)


@pytest.mark.parametrize(
    ("demand", "told"),
    [
        ("good customers", "too vague to tell users apart: nothing in this lake is meant by 'good'"),
        ("women", "the sentence says nothing that will happen"),
        (
            "women of religion a who will buy picnic baskets in the next 7 days",
            "probabilities are for the next 30 days",
        ),
        ("customers who bought zeppelins", "no text of the lake is about 'zeppelins'"),
        ("customers who bought things in the last 45 days more than twice", "sums are kept over 7, 30, 90, 365 days"),
    ],
)
def test_what_a_sentence_cannot_give_is_said_in_the_answer(client, demand, told):
    assert any(told in warning for warning in ask(client, demand)["rewritten"]["warnings"])


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_changes_a_rule(client, text):
    """Whatever is written where: consent, suppression and exclusions hold, and nothing fails unnamed."""
    everybody = USERS - len(LEFT_OUT)
    for demand in (text, f"customers who will buy tea. {text}"):
        answer = client.post(
            "/v1/audiences:target", json={"demand": demand, "size": 5, "exclude_users": [user_name(2)]}
        )
        assert answer.status_code in (200, 422), answer.text
        if answer.status_code == 200:
            assert not users(answer.json()) & (LEFT_OUT | {user_name(2)})
            assert answer.json()["default_filters"] == [{"field": "consent", "op": "=", "value": True}]
    asked = {"demand": "tea", "size": 5, "filters": [{"field": "gender", "op": "!=", "value": text}]}
    answer = client.post("/v1/audiences:preview", json={**asked, "exclude_users": [text or "x"]})
    assert answer.status_code == 422 or answer.json()["eligible"] == everybody
    for asked in (
        {"filters": [{"field": text or "x", "op": "=", "value": 1}]},
        {"conditions": [{"kind": "profile", "column": text or "x", "value": text or "x"}]},
        {"sentences": [{"text": text or "x"}]},
    ):
        answer = client.post("/v1/audiences:preview", json={"demand": "tea", "size": 5, **asked})
        assert answer.status_code in (200, 422), answer.text
        assert answer.status_code == 422 or answer.json()["eligible"] <= everybody


def test_a_night_rewrites_the_users_whose_profile_or_activity_changed(tmp_path):
    settings = set_up(tmp_path)
    night = DAY + timedelta(days=1)
    write_embeddings(settings.work, night, embedded(USERS))
    write_profile(settings.work, night, PROFILE | {"age": [99.0, *AGES[1:]]})
    counts = {
        **ACTIVITY,
        "bills_count_30d": [*COUNTS[:-1], 9.0],
        "bills_recency_days": [a + 1 if a > 0 else a for a in RECENCY],
    }
    write_features(settings, night, USERS, activity=counts)
    with open_index(settings) as index:
        done = publish(index, settings.work, night)
    assert (done.written, done.deleted) == (2, 0), "a day later, all other events are a day older and nothing else"

    with serving(settings, open_desk) as client:
        asked = {"size": USERS, "filters": [{"field": "bills_recency_days", "op": "<=", "value": 20}]}
        assert users(ask(client, "x", **asked)) == {user_name(at) for at in range(1, 20)} - LEFT_OUT
        old = ask(client, "x", filters=[{"field": "age", "op": "=", "value": 99}])
        assert users(old) == {user_name(0)}


def test_protected_columns_are_not_even_stored(tmp_path):
    settings = set_up(tmp_path)
    with open_index(settings) as index:
        names = [column.name for column in index.published().columns]
    assert "religion" not in names and {"age", "gender", "consent", "bills_count_30d"} <= set(names)


def test_settings_that_cannot_be_kept_make_no_audience(tmp_path):
    settings = set_up(tmp_path)
    cases = {
        "default_filters": ("agrees = true", "default_filters cannot be applied: this index has no column 'agrees'"),
        "suppressed_users": (str(tmp_path / "gone"), "which cannot be read"),
    }
    for name, (value, told) in cases.items():
        with serving(replace(settings, **{name: value}), open_desk) as client:
            refused(client, 503, "misconfigured", told, demand="a picnic basket")


def test_a_suppression_list_is_read_again_when_it_changes(tmp_path):
    settings = set_up(tmp_path)
    with serving(settings, open_desk) as client:
        assert user_name(4) in users(ask(client, "a picnic basket"))
        with open(settings.suppressed_users, "a") as file:
            file.write(f"{user_name(4)}\n")
        assert user_name(4) not in users(ask(client, "a picnic basket"))


def test_a_lake_of_another_language_can_be_asked_in_it(tmp_path):
    settings = replace(set_up(tmp_path), demand_language="any")
    with serving(settings, open_desk) as client:
        assert ask(client, "Kunden, die bald Tee kaufen")["users"]


def test_the_command_filters_excludes_and_prints_json(tmp_path, monkeypatch, capsys):
    from serving.cli import main

    settings = set_up(tmp_path)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("serving.desk.open_desk", open_desk)
    narrowed = ["--filter", "age > 30", "--filter", "gender = female", "--exclude", user_name(15), "--size", str(USERS)]

    assert main(["target", "a picnic basket", "--json", *narrowed]) == 0
    audience = json.loads(capsys.readouterr().out)
    assert users(audience) == (WOMEN & OVER_30) - LEFT_OUT - {user_name(15)}
    assert audience["filters"][0] == {"field": "age", "op": ">", "value": 30}
    assert main(["target", "Women who will buy a picnic basket", "--size", "3"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-3:] == [
        "filter: gender = female",
        "filter: consent = True",
        "read as: Customers who will buy picnic basket",
    ]
    assert main(["preview", "a picnic basket", *narrowed]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == len(audience["users"])
    assert main(["target", "a picnic basket", "--filter", "wage > 3"]) == 2
    assert "this index has no column 'wage'" in capsys.readouterr().err
