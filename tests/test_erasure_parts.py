"""Parts of an erasure: finding an id in any file, rewriting tables, texts that are one user's alone, the lake."""

import gzip
import json
import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.contracts.names import Workdir
from feature_repo.contracts.pair_files import fingerprint
from feature_repo.contracts.publication import publish
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import NOTHING, text_key
from serving.erasure import lake, lines, models, tables, texts
from serving.erasure.person import Person
from serving.erasure.search import holding, holds

ANNA = Person("anna-1")
KEYS = pa.list_(pa.int64())


def parquet(path: Path, **columns: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def rows(path: Path, column: str = "user_id") -> list[object]:
    return pq.read_table(str(path))[column].to_pylist()


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"user_id": ["x", "anna-1"]}, True),
        ({"user_id": ["anna-12", "xanna-1"]}, False),
        ({"text": ["mail to anna-1, please"]}, True),
        ({"tags": pa.array([["a"], ["b", "anna-1"], None])}, True),
        ({"who": pa.array(["x", "anna-1"]).dictionary_encode()}, True),
        ({"raw": pa.array([b"\x00anna-1\x00"])}, True),
        ({"deep": pa.array([{"inner": "anna-1"}])}, True),
        ({"user_key": pa.array([ANNA.key, 3])}, True),
        ({"number": [1.5, 2.5]}, False),
    ],
)
def test_an_id_is_found_in_parquet_whatever_its_column(tmp_path, columns, found):
    path = tmp_path / "part.parquet"
    pq.write_table(pa.table(columns), path, compression="zstd", use_dictionary=False, write_statistics=False)

    assert holds(ANNA, path) is found


@pytest.mark.parametrize("told", [b'{"user": "anna-1"}', b"/v1/users/anna-1/features", b"\x06\x00\x00\x00anna-1\x01"])
def test_an_id_is_found_in_bytes_but_not_as_a_part_of_another(tmp_path, told):
    (tmp_path / "file").write_bytes(told)
    (tmp_path / "other").write_bytes(told.replace(b"anna-1", b"anna-11"))
    (tmp_path / "zipped").write_bytes(gzip.compress(told))
    with closing(sqlite3.connect(tmp_path / "base")) as database, database:
        database.execute("CREATE TABLE t (v)")
        database.execute("INSERT INTO t VALUES (?)", (b"x" * 5_000 + told,))
    (tmp_path / "empty").touch()

    assert [path.name for path in holding(ANNA, tmp_path)] == ["base", "file", "zipped"]


def test_an_id_is_found_as_json_and_addresses_spell_it(tmp_path):
    person = Person('ö "x"/1')
    (tmp_path / "json").write_text(json.dumps({"user": person.user_id}))
    (tmp_path / "log").write_text("GET /v1/users/%C3%B6%20%22x%22%2F1/features")

    assert len(holding(person, tmp_path)) == 2


def test_a_short_id_is_looked_for_among_values_only(tmp_path):
    person = Person("7")
    (tmp_path / "a.log").write_text("7 of 7 steps")
    parquet(tmp_path / "b.parquet", user_id=["7", "8"])

    assert [path.name for path in holding(person, tmp_path)] == ["b.parquet"]
    assert lines.mask(person, [tmp_path / "a.log"]) == 0


def test_a_published_folder_is_replaced_as_a_whole(tmp_path):
    def write(folder: Path) -> None:
        parquet(folder / "part-00000.parquet", user_id=["a", "anna-1", "b", "c"])
        parquet(folder / "part-00001.parquet", user_id=["d"])
        parquet(folder / "part-00002.parquet", user_id=["anna-1"])

    publish(tmp_path / "ds=1", write)
    untouched = (tmp_path / "ds=1" / "part-00001.parquet").read_bytes()
    before = os.readlink(tmp_path / "ds=1")

    dropped = tables.drop(tmp_path, tables.Drop(ANNA))

    assert (dropped.rows, dropped.files) == (2, 2)
    assert os.readlink(tmp_path / "ds=1") != before
    assert sorted(p.name for p in (tmp_path / "ds=1").iterdir()) == ["part-00000.parquet", "part-00001.parquet"]
    assert rows(tmp_path / "ds=1") == ["a", "b", "c", "d"]
    assert (tmp_path / "ds=1" / "part-00001.parquet").read_bytes() == untouched
    assert [p.name for p in (tmp_path / ".runs").iterdir() if p.suffix != ".lock"] == [
        Path(os.readlink(tmp_path / "ds=1")).name
    ]
    assert tables.drop(tmp_path, tables.Drop(ANNA)) == tables.Dropped()


def test_a_job_that_publishes_meanwhile_is_waited_for_and_its_rows_go(tmp_path):
    def write(names: list[str]):
        return lambda folder: parquet(folder / "part-00000.parquet", user_id=names)

    publish(tmp_path / "ds=1", write(["a", "anna-1"]))
    entered, go = threading.Event(), threading.Event()

    def job(folder: Path) -> None:
        entered.set()
        assert go.wait(30)
        write(["a", "anna-1", "b"])(folder)

    with ThreadPoolExecutor() as threads:
        published = threads.submit(publish, tmp_path / "ds=1", job)
        assert entered.wait(30)
        dropped = threads.submit(tables.drop, tmp_path, tables.Drop(ANNA))
        time.sleep(0.3)
        go.set()
        published.result()
        dropped.result()

    assert rows(tmp_path / "ds=1") == ["a", "b"]


def test_a_table_keeps_schema_and_row_groups_and_may_become_empty(tmp_path):
    path = parquet(tmp_path / "a.parquet", user_id=["a", "b", "c", "anna-1"], n=pa.array([1, 2, 3, 4], pa.int16()))
    schema = pq.read_schema(path).with_metadata({"org.apache.spark.sql.parquet.row.metadata": "{}"})
    pq.write_table(pq.read_table(path).replace_schema_metadata(schema.metadata), path, row_group_size=2)
    alone = parquet(tmp_path / "b.parquet", user_id=["anna-1"])

    tables.drop(tmp_path, tables.Drop(ANNA))

    found = pq.read_metadata(path)
    assert [found.row_group(at).num_rows for at in range(found.num_row_groups)] == [2, 1]
    assert pq.read_schema(path).equals(schema, check_metadata=False)
    assert pq.read_schema(path).metadata[b"org.apache.spark.sql.parquet.row.metadata"] == b"{}"
    assert rows(alone) == [], "a folder without a file is no table to its readers"


def test_what_a_killed_run_left_is_written_anew_in_place(tmp_path):
    parquet(tmp_path / ".runs" / "ds=1.b" / "part-00000.parquet", user_id=["a", "anna-1"])
    (tmp_path / ".runs" / "half.parquet").write_bytes(b"PAR1 not finished")

    assert tables.drop(tmp_path, tables.Drop(ANNA)).rows == 1
    assert rows(tmp_path / ".runs" / "ds=1.b" / "part-00000.parquet") == ["a"]


def pairs(root: Path) -> None:
    """Two files of pairs, their texts and a manifest, as build_pairs publishes them."""

    def write(folder: Path) -> None:
        one, other = [text_key("tea")], [text_key("anna's song")]
        key = pa.array([1, ANNA.key], pa.int64())
        parquet(folder / "pairs" / "part-00000.parquet", user_key=key, bills_text=pa.array([one, other], KEYS))
        parquet(folder / "pairs" / "part-00001.parquet", user_key=key[:1], bills_text=pa.array([one], KEYS))
        told = ["tea", "anna's song", NOTHING]
        parquet(folder / "texts" / "part-00000.parquet", text_key=[text_key(t) for t in told], text=told)
        document = {"rows": 3, "files": 2, "fingerprint": fingerprint(folder), "lake": "l"}
        (folder / "manifest.json").write_text(json.dumps(document))

    publish(root / "pairs", write)


def test_the_manifest_of_pairs_follows_and_remembers_what_models_know_them_by(tmp_path):
    pairs(tmp_path)
    before = json.loads((tmp_path / "pairs" / "manifest.json").read_text())

    tables.drop(tmp_path, tables.Drop(ANNA, (text_key("anna's song"),)))

    told = json.loads((tmp_path / "pairs" / "manifest.json").read_text())
    assert (told["rows"], told["files"], told["lake"]) == (2, 2, "l")
    assert told["fingerprint"] == fingerprint(tmp_path / "pairs") != before["fingerprint"]
    assert told["fingerprint_before_erasures"] == before["fingerprint"]
    assert rows(tmp_path / "pairs" / "texts", "text") == ["tea", NOTHING]
    assert tables.pair_folders(tmp_path) == [(tmp_path / "pairs").resolve()]


def test_the_manifest_of_bags_counts_who_is_left(tmp_path):
    def write(folder: Path) -> None:
        counts = pa.array([[1, 2], [3], [4, 5]], pa.list_(pa.int32()))
        parquet(folder / "bags" / "part-00000.parquet", user_id=["anna-1", "anna-1", "b"], counts=counts)
        (folder / "manifest.json").write_text(json.dumps({"interests": "v", "users": 2, "events": 15, "rows": 3}))

    publish(tmp_path / "ds=1", write)
    tables.drop(tmp_path, tables.Drop(ANNA))

    told = json.loads((tmp_path / "ds=1" / "manifest.json").read_text())
    assert (told["users"], told["events"], told["rows"]) == (1, 9, 1)


def test_texts_of_nobody_else_are_found_wherever_a_table_names_them(tmp_path):
    named = {name: text_key(name) for name in ("tea", "secret", "cake", "Atlantis", "Rome", "ring")}
    lists = pa.array([[named["tea"], named["secret"], 0], [named["tea"], 0, 0]], KEYS)
    users = ["anna-1", "b"]
    every = [
        parquet(tmp_path / "history" / "p.parquet", user_id=users, bills_text=lists),
        parquet(tmp_path / "profile" / "p.parquet", user_id=users, city=["Atlantis", "Rome"], home=["Rome", "x"]),
        parquet(tmp_path / "outcomes" / "p.parquet", user_id=users, text_key=[named["ring"], named["tea"]]),
        parquet(
            tmp_path / "pairs" / "p.parquet",
            user_key=pa.array([ANNA.key, 1], pa.int64()),
            future_text=pa.array([[text_key(NOTHING), named["cake"]], [named["cake"], 0]], KEYS),
        ),
    ]

    only = texts.only_of(ANNA, every)

    assert sorted(only.tolist()) == sorted(named[name] for name in ("secret", "Atlantis", "ring"))
    assert len(texts.only_of(Person("nobody"), every)) == 0


def test_tables_of_texts_lose_these_keys_and_tables_of_users_do_not(tmp_path):
    listed = parquet(tmp_path / "texts.parquet", text_key=[1, 2, 3], text=["a", "b", "c"])
    users = parquet(tmp_path / "outcomes.parquet", user_id=["b"], text_key=[2])

    tables.drop(tmp_path, tables.Drop(texts=(2,)))

    assert rows(listed, "text_key") == [1, 3]
    assert rows(users, "text_key") == [2]


def test_a_calibration_whose_pairs_are_gone_goes_as_a_whole(tmp_path):
    work = Workdir(tmp_path)
    for name, trained in {"old": "f0", "new": "f1"}.items():
        (work.models / name).mkdir(parents=True)
        (work.models / name / "config.json").write_text(json.dumps({"metadata": {"pairs": trained}}))
    (work.models / "old" / "calibration.json").write_text("{}")
    (work.models / "old" / "calibration.safetensors").write_text("x")

    found = models.forget(tmp_path, ANNA, np.zeros(0, np.int64))

    assert found == models.FromCalibrations(0, ("old",))
    assert sorted(p.name for p in (work.models / "old").iterdir()) == ["config.json"]


def test_the_lake_is_read_and_never_written(tmp_path):
    root, elsewhere = tmp_path / "lake", tmp_path / "elsewhere"
    parquet(root / "bills" / "p1.parquet", who=["anna-1"], item=["tea"])
    parquet(root / "bills" / "p2.parquet", who=["b"], item=["tea"])
    parquet(elsewhere / "p.parquet", user_id=["anna-1"])
    described = f"name: l\nsources: [bills, visits, clicks]\ntables: {{visits: {elsewhere}, clicks: db.clicks}}\n"
    (root / "lake.yaml").write_text(described)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*") if p.is_file()}

    found = lake.search(Settings(lake=str(root)), ANNA)

    assert found.files == [str(elsewhere / "p.parquet"), "bills/p1.parquet"]
    assert found.not_searched == ["the table 'db.clicks' of the lake: it is no folder"]
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_lake_that_is_not_there_is_said_to_be_unsearched(tmp_path):
    assert lake.search(Settings(), ANNA).not_searched == ["the source lake: the setting lake names none"]
    told = lake.search(Settings(lake=str(tmp_path / "no")), ANNA).not_searched
    assert told == [f"the source lake: {tmp_path / 'no'} is no folder"]


def test_the_texts_of_a_users_life_are_rendered_as_jobs_render_them(tmp_path):
    parquet(tmp_path / "bills" / "p.parquet", who=["anna-1", "b"], item=["tea", "cake"], status=["cancelled", "x"])
    parquet(tmp_path / "searches" / "p.parquet", user_id=["anna-1", "anna-1"], query=["a\tb", None])
    parquet(tmp_path / "profiles" / "p.parquet", user_id=["anna-1"], city=["Rome"], age=[30.0])
    described = "name: l\nsources: [bills, searches, profiles]\ncolumns: {bills: {user_id: who}}\n"
    (tmp_path / "lake.yaml").write_text(described)

    found = lake.texts_of(Settings(lake=str(tmp_path)), ANNA)

    assert found == {text_key(text) for text in ("tea, cancelled", "a b", "Rome")}
    assert lake.texts_of(Settings(lake=str(tmp_path)), Person("nobody")) == set()
    assert lake.texts_of(Settings(), ANNA) == lake.texts_of(Settings(lake=str(tmp_path / "no")), ANNA) == set()


def test_a_known_text_is_the_users_alone_unless_a_row_of_another_names_it(tmp_path):
    other = parquet(tmp_path / "p.parquet", user_id=["b"], text_key=[2])
    assert texts.only_of(ANNA, [other], known=[1, 2]).tolist() == [1]


def test_a_list_loses_the_lines_about_the_user_and_no_line_that_has_the_same_number(tmp_path):
    person = Person("1234")
    (tmp_path / "a.csv").write_bytes(b'rank,user_id,score\r\n1,1234,0.5\r\n1234,"5,6",0.1234\r\n')
    (tmp_path / "b.jsonl").write_text('{"user_id": "1234"}\n{"user_id": "5", "rank": 1234}\n')
    (tmp_path / "c.csv").write_text("who\n1234\n0.1234\n1234.5\n12345\n")

    assert lines.unlist(person, sorted(tmp_path.iterdir())) == 3

    assert (tmp_path / "a.csv").read_bytes() == b'rank,user_id,score\r\n1234,"5,6",0.1234\r\n'
    assert (tmp_path / "b.jsonl").read_text() == '{"user_id": "5", "rank": 1234}\n'
    assert (tmp_path / "c.csv").read_text() == "who\n0.1234\n1234.5\n12345\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.jsonl", "c.csv"]


def test_a_log_is_written_over_in_place_so_that_its_writer_goes_on(tmp_path):
    path = tmp_path / "step.log"
    with path.open("ab") as writer:
        writer.write(b"about anna-1\n")
        writer.flush()
        assert lines.mask(ANNA, [path]) == 1
        writer.write(b"and on\n")
    assert path.read_text() == "about ******\nand on\n"
