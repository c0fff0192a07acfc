"""Raw similarity and embeddings made now, through the API on a real Milvus Lite and a real Feast online store."""

from datetime import timedelta
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audience_doubles import VERSIONS, serving
from hostile import HOSTILE
from serving_doubles import (
    DAY,
    KNOWN,
    LENGTHS,
    WORDS,
    WordModel,
    answer_by_difference,
    bought,
    embedded,
    user_name,
    user_vector,
    words_vector,
    write_embeddings,
    write_features,
    write_profile,
)

from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import text_key
from feature_repo.store import materialize
from model.text_cache import TextTable
from model.vectors import Users
from serving.desk import Desk
from serving.index import open_index
from serving.publish import publish

USERS = 12
SUPPRESSED = user_name(11)
VECTORS = np.stack([user_vector(at) for at in range(USERS)])
CACHED = sorted(text_key(text) for text in KNOWN if text != "cake stand")


class EmbeddingModel(WordModel):
    """A user's vector is 0 and the sum of the texts' vectors, each text weighs as often as it occurs. "cake stand" is
    not cached; the arrays are a slot shorter than those online."""

    metadata = MappingProxyType(
        {
            **WordModel.metadata,
            "lengths": vars(LENGTHS) | {"events": 3},
            "profile": {"categorical": [], "numeric": ["age"]},
        }
    )

    def text_vectors(self, cache):
        by_key = {text_key(text): words_vector(text) for text in KNOWN}
        return TextTable(np.array(CACHED), np.stack([np.zeros(WORDS, np.float32), *(by_key[key] for key in CACHED)]))

    def embed(self, columns, texts):
        assert columns["bills_text"].shape == (1, 3)
        keys, counts = np.unique(columns["bills_text"][columns["bills_text"] != 0], return_counts=True)
        vector = np.append(np.zeros(1, np.float32), texts.vectors[texts.rows(keys)].sum(0))
        return Users(vector[None], [(keys, counts.astype(np.float32))])

    def input_hashes(self, columns):
        return [f"{columns['bills_text'].sum()}-{columns['cutoff_day'][0]}"]


def open_desk(settings: Settings) -> Desk:
    return Desk(settings, open_index(settings), load_model=EmbeddingModel.load, answer=answer_by_difference)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("users")
    (folder / "suppressed.txt").write_text(f"{SUPPRESSED}\n")
    made = Settings(workdir=str(folder / "work"), minimum_audience=0, suppressed_users=str(folder / "suppressed.txt"))
    write_embeddings(made.work, DAY, embedded(USERS), texts=bought(USERS))
    write_profile(made.work, DAY, {"age": [20.0 + at for at in range(USERS)]})
    write_features(made, DAY, USERS)
    with open_index(made) as index:
        publish(index, made.work, DAY)
    return made


@pytest.fixture(scope="module")
def client(settings):
    with serving(settings, open_desk) as client:
        yield client


def similar(client, **asked) -> dict[str, float]:
    answer = client.post("/v1/users:similar", json=asked)
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in VERSIONS} == VERSIONS
    return {user["user_id"]: user["score"] for user in answer.json()["users"]}


def by_hand(query: np.ndarray, *, without: set[str], limit: int = USERS) -> dict[str, float]:
    scores = {user_name(at): float(VECTORS[at].astype(float) @ query.astype(float)) for at in range(USERS)}
    ranked = sorted(((-score, user) for user, score in scores.items() if user not in without))
    return {user: -score for score, user in ranked[:limit]}


def refused(answer, status: int, code: str, told: str) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert told in problem["detail"]


def test_users_like_a_user_have_the_highest_inner_products_and_the_user_is_left_out(client):
    found = similar(client, user_id=user_name(2), limit=5)

    expected = by_hand(VECTORS[2], without={user_name(2), SUPPRESSED}, limit=5)
    assert list(found) == list(expected)
    assert list(found.values()) == pytest.approx(list(expected.values()), rel=1e-6)


def test_a_sentence_is_asked_as_its_raw_vector(client):
    query = WordModel("v1").read_demands(["not a lunch bag"], DAY)[0].vector

    assert similar(client, demand=" not a lunch bag ", limit=USERS) == pytest.approx(
        by_hand(query, without={SUPPRESSED}), rel=1e-6
    )


def test_a_vector_is_asked_as_it_is_and_filters_apply(client):
    filters = [{"field": "age", "op": ">=", "value": 25}]

    found = similar(client, vector=VECTORS[3].tolist(), filters=filters, exclude_users=[user_name(7)], limit=USERS)

    young = {user_name(at) for at in range(5)}
    assert found == pytest.approx(by_hand(VECTORS[3], without={SUPPRESSED, user_name(7)} | young), rel=1e-6)


@pytest.mark.parametrize(
    ("asked", "status", "code", "told"),
    [
        ({}, 422, "invalid_request", "give one of user_id, demand and vector, found none"),
        ({"user_id": "u001", "demand": "x"}, 422, "invalid_request", "found user_id and demand"),
        ({"user_id": "eve"}, 404, "unknown_users", "the index users_v1 holds no user 'eve'"),
        ({"vector": [1.0, 2.0]}, 422, "invalid_request", "a vector of users_v1 has 17 numbers, found 2"),
        ({"vector": [1e300] * 17}, 422, "invalid_request", "must be finite in single precision"),
        ({"demand": " "}, 422, "empty_demand", "must be a sentence, found an empty one"),
        ({"demand": "x" * 1_001}, 422, "demand_too_long", "at most 1000 characters, found 1001"),
        ({"demand": "Kunden, die bald einen Tisch und Stühle für den Garten kaufen"}, 422, "other_language", "German"),
        ({"demand": "x", "limit": 16_385}, 422, "audience_too_large", "at most 16384 users"),
        ({"demand": "x", "filters": [{"field": "a", "op": "=", "value": 1}]}, 422, "unknown_filter_field", "'a'"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_code(client, asked, status, code, told):
    refused(client.post("/v1/users:similar", json=asked), status, code, told)


def test_no_user_id_breaks_out_of_its_place(client):
    for text in HOSTILE:
        if 0 < len(text.strip()) <= 256:
            answer = client.post("/v1/users:similar", json={"user_id": text})
            assert answer.status_code in (404, 422), (text, answer.text)


def embed(client, user: str):
    return client.post(f"/v1/users/{user}:embed")


def test_a_user_is_embedded_now_with_texts_that_are_not_cached_yet(client):
    found = embed(client, user_name(3)).json()

    assert {name: found[name] for name in VERSIONS} == VERSIONS
    assert (found["user_id"], found["features_ds"]) == (user_name(3), "2024-06-01")
    expected = words_vector("cake stand") + words_vector("old thing")
    np.testing.assert_allclose(found["vector"], np.append(0, expected), rtol=1e-6)
    assert sorted((t["text"], t["weight"]) for t in found["texts"]) == [("cake stand", 1.0), ("old thing", 1.0)]
    assert found["input_hash"] == f"{text_key('cake stand') + text_key('old thing')}-19875"


def test_nobody_is_embedded_without_features(client):
    refused(
        embed(client, "no/body"), 404, "user_without_features", "the online store has no features of user 'no/body'"
    )


def test_features_of_a_day_whose_texts_are_gone_are_refused(client, settings):
    ds = DAY + timedelta(days=1)
    write_profile(settings.work, ds, {"age": [1.0] * USERS})
    write_features(settings, ds, USERS)
    assert embed(client, user_name(3)).json()["features_ds"] == "2024-06-02"
    texts = settings.work.partition("texts", ds) / "part-00000.parquet"
    pq.write_table(pa.table({"text_key": pa.array([], pa.int64()), "text": pa.array([], pa.string())}), texts)

    refused(
        embed(client, user_name(3)), 503, "features_missing", "of 2024-06-02 name 1 texts that the snapshot of that"
    )
    assert embed(client, user_name(2)).status_code == 200
    materialize(settings, DAY, ["history"], force=True)
    refused(embed(client, user_name(2)), 503, "versions_disagree", "of one day, found 2024-06-01, 2024-06-02")
