"""From a lake to published vectors in one process: any mix of sources, a delta night, and serving's view of a user."""

import os
from dataclasses import replace
from datetime import date
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from factories import story_lake
from model_pairs import with_tuned_events

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES, PROFILES
from feature_repo.contracts.names import EMBEDDING, PROFILE
from feature_repo.contracts.settings import Settings

CUTOFF = date(2023, 1, 15)
BY_CUTOFF = {"horizon_days": 30, "cutoffs": "auto:2", "recipe": "tiny", "max_events": 16, "max_searches": 4}


def settings_for(lake: Path, workdir: Path, **changed: object) -> Settings:
    return replace(Settings(lake=str(lake), workdir=str(workdir), **BY_CUTOFF), **changed)  # type: ignore[arg-type]


def trained(settings: Settings, seed: int = 0) -> str:
    """Both stages in this process; returns the model's version."""
    from model import train as training
    from model.data import open_pairs
    from model.distributed import Ranks
    from model.recipes import recipe
    from model.text_cache import CachedEncoder
    from model.text_encoder import TextEncoder

    chosen = recipe(settings.recipe)
    encoder = CachedEncoder(
        settings.work.text_cache, TextEncoder(chosen.encoder, max_tokens=chosen.max_tokens), Ranks()
    )
    job = training.Job(open_pairs(settings.work.pairs), chosen, encoder, settings.work.models, seed, Ranks())
    training.stage1(job)
    return training.stage2(job)


def snapshot(spark, settings: Settings, ds: date, *, full: bool = False) -> dict[str, tuple[list[float], str]]:
    """Features and embeddings of a night: {user: (vector, input hash)}."""
    from model import pointers
    from spark_jobs.build_features import build_features
    from spark_jobs.embed_users import embed_users

    build_features(spark, settings, [ds])
    embed_users(spark, settings, ds, model=pointers.current(settings.work.models, missing=""), full=full)
    rows = pq.read_table(str(settings.work.partition(EMBEDDING, ds))).to_pylist()
    return {row["user_id"]: (row["vector"], row["input_hash"]) for row in rows}


def prepared(spark, lake: Path, workdir: Path, *, cutoff: date = CUTOFF, **changed: object) -> Settings:
    from spark_jobs.build_pairs import build_pairs

    settings = settings_for(lake, workdir, **changed)
    build_pairs(spark, settings, settings.windows, out=settings.work.pairs, until=cutoff)
    trained(settings)
    return settings


@pytest.fixture(scope="module")
def night(spark, tiny_lake, tmp_path_factory):
    settings = prepared(spark, tiny_lake, tmp_path_factory.mktemp("night"))
    return settings, snapshot(spark, settings, CUTOFF)


MIXES = [(source,) for source in EVENT_SOURCES] + list(combinations((*EVENT_SOURCES, PROFILES), 2))


@pytest.fixture
def interpreted(spark):
    """Plans of tiny lakes cost more to compile than to interpret."""
    names = ("spark.sql.codegen.wholeStage", "spark.sql.adaptive.enabled")
    before = {name: spark.conf.get(name) for name in names}
    for name in names:
        spark.conf.set(name, "false")
    yield
    for name, value in before.items():
        spark.conf.set(name, value)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("sources", MIXES, ids="+".join)
def test_a_lake_of_one_or_two_sources_runs_end_to_end(spark, tmp_path, sources):
    from feature_repo.store import materialize
    from serving.index import open_index
    from serving.publish import publish

    lake = story_lake(tmp_path / "lake", *sources)
    settings = prepared(spark, lake, tmp_path / "work")
    users = snapshot(spark, settings, CUTOFF)
    assert set(materialize(settings, CUTOFF).values()) == {len(users)}
    with open_index(settings) as index:
        assert publish(index, settings.work, CUTOFF).users == len(users)
    vectors = np.array([vector for vector, _ in users.values()])
    assert len(users) > 10
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(6), axis=0)) > len(users) / 2


def test_a_lake_of_profiles_alone_is_refused(spark, tmp_path):
    with pytest.raises(FoundError, match="at least one event source"):
        prepared(spark, story_lake(tmp_path / "lake", PROFILES), tmp_path / "work")


def test_scenarios_of_several_cutoffs_and_horizons_are_all_scored(spark, tiny_lake, tmp_path):
    from model.evaluation.scenarios import Scenario
    from model.evaluation.zero_shot import evaluate

    over = date(2023, 2, 5)
    scenarios = [
        Scenario("a week", "buy coffee", date(2022, 10, 1), 7, ""),
        Scenario("longer than a third of the history, from the end of the lake", "buy a tent", over, 150, ""),
    ]
    labels = {s.id: {f"u{number:03d}": number % 2 for number in range(24)} for s in scenarios}
    for s in scenarios:
        run = prepared(spark, tiny_lake, tmp_path / s.run, cutoff=s.cutoff, horizon_days=s.horizon_days)
        snapshot(spark, run, s.cutoff)

    report = evaluate(scenarios, labels, tmp_path)

    assert set(report["scenarios"]) == {s.id for s in scenarios}
    assert all(0 <= row["auc"] <= 1 and row["users"] == 24 for row in report["scenarios"].values())


def test_a_horizon_that_leaves_no_history_is_refused(spark, tiny_lake, tmp_path):
    with pytest.raises(FoundError, match=r"no training cut-off fits: .* its training futures of 365 days"):
        prepared(spark, tiny_lake, tmp_path, cutoff=date(2022, 12, 31), horizon_days=365)


def test_every_user_of_the_night_has_one_vector(night, tiny_lake):
    _, users = night
    known = set()
    for table in tiny_lake.glob("*/part-*.parquet"):
        known |= set(pq.read_table(table, columns=["user_id"])["user_id"].to_pylist())
    assert set(users) <= known
    assert len(users) == 24


def test_a_second_run_of_a_night_gives_the_same_bytes(spark, night):
    settings, first = night
    assert snapshot(spark, settings, CUTOFF) == first


def test_a_delta_night_equals_a_full_one(spark, night):
    settings, before = night
    ds = date(2023, 1, 16)
    delta = snapshot(spark, settings, ds)
    unchanged = [user for user, (_, seen) in delta.items() if user in before and before[user][1] == seen]
    full = snapshot(spark, settings, ds, full=True)
    assert unchanged
    assert {user: seen for user, (_, seen) in delta.items()} == {user: seen for user, (_, seen) in full.items()}
    for user, (vector, _) in full.items():
        np.testing.assert_allclose(delta[user][0], vector, atol=1e-5)


def test_a_user_read_from_feast_gets_the_vector_that_spark_gave(night, monkeypatch):
    from feature_repo.contracts.inputs import pair_columns
    from feature_repo.online import online_columns
    from feature_repo.store import materialize, open_store
    from model import pointers
    from model.found import FoundModel
    from model.rows import columns_of
    from model.text_cache import CachedEncoder
    from model.text_encoder import TextEncoder

    settings, users = night
    monkeypatch.setenv("FOUND_WORKDIR", settings.workdir)
    materialize(settings, CUTOFF)
    model = FoundModel.from_pretrained(pointers.current(settings.work.models, missing=""))
    encoder = CachedEncoder(
        settings.work.text_cache, TextEncoder(model.recipe.encoder, max_tokens=model.recipe.max_tokens)
    )
    asked = sorted(users)[:5]
    online = online_columns(open_store(settings), asked)
    profile = model.metadata["profile"]
    columns = columns_of(online, pair_columns(settings.lengths, categorical=1, numeric=1), profile=profile, day=CUTOFF)
    vectors = model.embed(columns, encoder.cache.table()).vectors
    for user, vector in zip(asked, vectors, strict=True):
        stored = np.array(users[user][0])
        assert vector @ stored / np.linalg.norm(vector) / np.linalg.norm(stored) > 0.99999


def test_an_unchanged_user_who_is_embedded_now_has_what_the_night_gave(night, monkeypatch):
    from feature_repo.store import materialize
    from model import pointers
    from model.found import FoundModel
    from serving.fresh import embedded
    from serving.rows import Publication
    from serving.targeting import Targeting
    from serving.texts import read_texts
    from serving.user_features import OnlineFeatures

    settings, _ = night
    monkeypatch.setenv("FOUND_WORKDIR", settings.workdir)
    materialize(settings, CUTOFF)
    model = FoundModel.from_pretrained(pointers.current(settings.work.models, missing=""))
    publication = Publication("users_x", model.width, model.version, 1, CUTOFF.isoformat())
    vectors, texts = model.text_vectors(settings.work.text_cache), read_texts(settings.work, CUTOFF)
    targeting = Targeting(model, None, publication, OnlineFeatures(settings), texts, vectors, None, None, None, None)
    stored = pq.read_table(str(settings.work.partition(EMBEDDING, CUTOFF))).to_pylist()
    for row in stored[:5]:
        found = embedded(targeting, settings.work, row["user_id"])
        assert (found.input_hash, found.features_ds) == (row["input_hash"], CUTOFF.isoformat())
        np.testing.assert_allclose(found.vector, row["vector"], atol=1e-5)
        weights = dict(zip(texts.of(row["text_keys"]).values(), row["text_weights"], strict=True))
        assert {own.text: own.weight for own in found.texts} == pytest.approx(weights, rel=1e-5)


def test_a_night_of_a_model_that_tuned_its_encoder_reads_texts_through_it(spark, night):
    from model import pointers
    from model.found import FoundModel
    from spark_jobs.build_features import build_features
    from spark_jobs.embed_users import _inputs, embed_users, numpy_columns

    settings, _ = night
    plain = FoundModel.from_pretrained(pointers.current(settings.work.models, missing=""))
    model, ds = with_tuned_events(plain), date(2023, 1, 17)
    folder = settings.work.models / model.save_pretrained(settings.work.models)
    build_features(spark, settings, [ds])
    embed_users(spark, settings, ds, model=folder, full=False)
    stored = pq.read_table(str(settings.work.partition(EMBEDDING, ds))).sort_by("user_id").to_pylist()

    (batch,) = _inputs(spark, settings.work, ds, model).toArrow().sort_by("user_id").combine_chunks().to_batches()
    again = model.embed(numpy_columns(batch), model.text_vectors(settings.work.text_cache))
    assert [row["user_id"] for row in stored] == batch["user_id"].to_pylist()
    np.testing.assert_allclose([row["vector"] for row in stored], again.vectors, atol=1e-5)
    for row, (keys, weights) in zip(stored, again.texts, strict=True):
        assert row["text_keys"] == keys.tolist()
        np.testing.assert_allclose(row["text_weights"], weights, atol=1e-5)
    others = plain.embed(numpy_columns(batch), plain.text_vectors(settings.work.text_cache))
    assert np.abs(others.vectors - again.vectors).max() > 1e-3


def test_a_night_whose_profile_lost_a_column_of_the_model_is_refused(spark, night, capsys):
    from model import pointers
    from spark_jobs.build_features import build_features
    from spark_jobs.embed_users import embed_users

    settings, _ = night
    ds = date(2023, 1, 18)
    build_features(spark, settings, [ds])
    folder = settings.work.partition(PROFILE, ds)
    for checksum in folder.glob(".*.crc"):
        checksum.unlink()
    for path in folder.glob("*.parquet"):
        table = pq.read_table(path)
        name, kept = table.column_names[-2:]
        age = table[kept].cast("string")
        pq.write_table(table.drop_columns([name, kept]).append_column(kept, age), path)
    model = pointers.current(settings.work.models, missing="")

    with pytest.raises(FoundError, match=rf"do not have so: .*{name} \(\w+, found none\).* Give them back"):
        embed_users(spark, settings, ds, model=model, full=False)
    assert not settings.work.partition(EMBEDDING, ds).exists()

    embed_users(spark, settings, ds, model=model, full=False, foreign=True)
    assert "they are unknown of every user" in capsys.readouterr().out
    assert settings.work.partition(EMBEDDING, ds).exists()


def test_no_night_before_features_were_built(spark, night):
    from spark_jobs.embed_users import embed_users

    settings, _ = night
    with pytest.raises(FoundError, match=r"no snapshot of 2030-01-01 in .*: run spark_jobs/build_features.py --ds"):
        embed_users(spark, settings, date(2030, 1, 1), model=Path(os.devnull), full=False)
