"""The block list: a keyed hash of each erased user, no id, and no job that brings one back."""

import json
import stat
from datetime import date

import pyarrow.parquet as pq
import pytest
from factories import day, event, story_lake, write_lake

from feature_repo.contracts.blocklist import Blocked, BlockList
from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import INPUT_VIEWS
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import text_key
from spark_jobs.blocked import still_known, without_blocked
from spark_jobs.build_features import build_features
from spark_jobs.build_interests import build_texts
from spark_jobs.build_outcomes import Asked, build_outcomes
from spark_jobs.build_pairs import build_pairs
from spark_jobs.lake import open_lake

DS = date(2022, 12, 1)
GONE = "u001"


@pytest.fixture
def blocks(tmp_path):
    return BlockList(tmp_path / "erasure")


def test_nobody_is_blocked_where_nobody_was_erased(blocks):
    assert not blocks.read()
    assert not blocks.read().holds("anna")
    assert not blocks.folder.exists()


def test_a_blocked_user_is_known_by_a_hash_under_a_key_that_only_the_owner_reads(blocks):
    assert blocks.add("anna")
    assert not blocks.add("anna"), "a second time changes nothing"
    blocks.add("bö rn/2")

    assert blocks.read().among(["anna", "anne", "bö rn/2", "", "ANNA"]) == ["anna", "bö rn/2"]
    assert len((blocks.folder / "blocked").read_text().split()) == 2
    assert not any("anna" in path.read_text() for path in blocks.folder.iterdir())
    assert stat.S_IMODE((blocks.folder / "key").stat().st_mode) == 0o600


def test_two_work_directories_hash_one_user_differently(tmp_path):
    one, other = BlockList(tmp_path / "one"), BlockList(tmp_path / "other")
    assert one.hash_of("anna") != other.hash_of("anna")
    assert one.hash_of("anna") == one.hash_of("anna")


def test_a_list_without_its_key_stops_every_job(blocks):
    blocks.add("anna")
    (blocks.folder / "key").unlink()

    for asked in (blocks.read, lambda: blocks.add("bert")):
        with pytest.raises(FoundError, match=r"under the key in .*key, which cannot be read: .* Restore that file"):
            asked()


def test_a_frame_loses_the_rows_of_blocked_users_and_no_other(spark, blocks):
    blocks.add(GONE)
    frame = spark.createDataFrame([(GONE, 1), ("u002", 2), (None, 3)], "`the user` string, n int")
    strange = spark.createDataFrame([(1,)], "user_id int")

    kept = without_blocked({"a": frame, "b": strange}, blocks.read(), ids={"a": "the user", "b": "user_id"})

    assert sorted(row["n"] for row in kept["a"].collect()) == [2, 3], "a null id is for the contract to refuse"
    assert kept["a"].columns == ["the user", "n"]
    assert kept["b"] is strange
    assert without_blocked({"a": frame}, Blocked(), ids={"a": "the user"})["a"] is frame


def test_a_table_of_ours_is_read_without_erased_users(spark, tmp_path):
    work = Settings(workdir=str(tmp_path)).work
    frame = spark.createDataFrame([(GONE,), ("u002",)], "user_id string")
    assert still_known(frame, work) is frame

    BlockList(work.erasure).add(GONE)

    assert [row[0] for row in still_known(frame, work).collect()] == ["u002"]


@pytest.mark.slow
def test_an_erased_user_is_in_nothing_that_a_job_makes_of_the_lake(spark, tmp_path):
    lake = story_lake(tmp_path / "lake")
    settings = Settings(lake=str(lake), workdir=str(tmp_path / "work"), cutoffs="2022-08-01", horizon_days=30)
    BlockList(settings.work.erasure).add(GONE)

    build_features(spark, settings, [DS])
    build_pairs(spark, settings, settings.windows, out=settings.work.pairs)
    build_outcomes(spark, settings, [Asked(DS, 30, 0, (text_key("some item"),))], out=settings.work.outcomes)
    build_texts(spark, settings, ds=DS, out=settings.work.interest_texts)

    for view in INPUT_VIEWS:
        users = pq.read_table(str(settings.work.partition(view, DS)), columns=["user_id"])["user_id"].to_pylist()
        assert "u002" in users and GONE not in users
    keys = pq.read_table(str(settings.work.pairs / "pairs"), columns=["user_key"])["user_key"].to_pylist()
    assert text_key("u002") in keys and text_key(GONE) not in keys
    told = json.loads((settings.work.outcomes / "manifest.json").read_text())["windows"]
    assert told["2022-12-01_30d"]["population"] == len(users)


def test_a_lake_whose_columns_have_other_names_is_read_without_erased_users(spark, tmp_path):
    rows = [event("visits", user, day(10)) for user in (GONE, "u002")]
    renamed = [{("who" if name == "user_id" else name): value for name, value in row.items()} for row in rows]
    lake = write_lake(tmp_path / "lake", {"visits": renamed}, columns={"visits": {"user_id": "who"}})
    settings = Settings(lake=str(lake), workdir=str(tmp_path / "work"))
    BlockList(settings.work.erasure).add(GONE)

    assert [row["user_id"] for row in open_lake(spark, settings).tables["visits"].collect()] == ["u002"]
