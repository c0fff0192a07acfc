"""The scan of Arrow batches: nobody of the best is left out, and an audience file is whole and always the same."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from feature_repo.contracts.errors import FoundError
from model.scan import NO_SCORE, scan
from model.scores import Asked
from spark_jobs.audience_files import ROWS, SCHEMA, evenly, refuse_unwritable, write_audience

NONE = np.zeros(0)


def asked() -> Asked:
    """The score is the vector's one number."""
    return Asked(np.ones(1, np.float32), NONE, NONE, NONE, NONE, 1.0, 0.0)


def batches(scores, rows):
    users = [f"u{at:05d}" for at in range(len(scores))]
    table = pa.table(
        {
            "user_id": users,
            "vector": pa.array([[s] for s in scores], pa.list_(pa.float32())),
            "text_keys": pa.array([[]] * len(scores), pa.list_(pa.int64())),
            "text_weights": pa.array([[]] * len(scores), pa.list_(pa.float32())),
        }
    )
    return table.to_batches(rows)


def scanned(scores, *, rows=64, size=None, lowest=-np.inf):
    found = pa.Table.from_batches(scan(batches(scores, rows), asked=asked(), size=size, lowest=lowest))
    return list(zip(found["user_id"].to_pylist(), found["score"].to_pylist(), strict=True))


def best_first(pairs):
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


@pytest.mark.parametrize("size", [1, 5, 63, 64, 65, 1_000, 2_000, 9_999])
@pytest.mark.parametrize("rows", [1, 64, 5_000])
@pytest.mark.parametrize("kind", ["distinct", "ties", "ascending", "descending"])
def test_the_best_are_all_there_with_their_ties(size, rows, kind):
    g = np.random.default_rng(size)
    drawn = g.integers(0, 20, 2_000) if kind == "ties" else g.permutation(2_000)
    scores = {"ascending": np.sort(drawn), "descending": -np.sort(drawn)}.get(kind, drawn).astype(float)
    everybody = best_first(scanned(scores, rows=2_000))

    found = scanned(scores, rows=rows, size=size)

    assert best_first(found)[:size] == everybody[:size]
    last = everybody[:size][-1][1]
    assert {pair for pair in everybody if pair[1] >= last} <= set(found) <= set(everybody)


def test_few_of_many_users_are_handed_on():
    scores = np.random.default_rng(5).permutation(20_000)

    assert len(scanned(scores, rows=200, size=100)) < 2_000


def test_no_user_below_the_lowest_score_is_handed_on():
    assert scanned([3, 1, 2, 5], lowest=2.0) == [("u00000", 3.0), ("u00002", 2.0), ("u00003", 5.0)]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_user_without_a_score_comes_first(wrong):
    found = best_first(scanned([1.0, wrong, 2.0], size=1))

    assert found[0] == ("u00001", NO_SCORE)


def audience(count):
    ranks = np.arange(1, count + 1)
    users = [f'é "{at}", u' for at in ranks]
    return pa.table([ranks, users, 1 / ranks, 0.1 / ranks], schema=SCHEMA)


@pytest.mark.parametrize("count", [0, 1, ROWS, ROWS + 1])
def test_rows_are_the_same_however_they_were_split(count):
    table = audience(count)

    split = list(evenly(iter(table.to_batches(7_000)), ROWS))

    assert pa.Table.from_batches(split, SCHEMA).equals(table)
    assert [len(batch) for batch in split] == [n for n in (min(ROWS, count), count - ROWS) if n > 0]


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_every_format_holds_the_same_numbers_and_always_the_same_bytes(ending, tmp_path):
    table, path = audience(70_000), tmp_path / "new" / f"a{ending}"

    assert write_audience(path, iter(table.to_batches(999))) == 70_000

    first = path.read_bytes()
    write_audience(path, iter(table.to_batches(50_000)))
    assert path.read_bytes() == first
    assert list(path.parent.iterdir()) == [path]
    if ending == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert rows == table.to_pylist()
    else:
        assert (pc.read_csv if ending == ".csv" else pq.read_table)(path).cast(SCHEMA).equals(table)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_a_write_that_fails_leaves_the_file_as_it_was(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    path.write_text("before")

    def broken():
        yield from audience(ROWS).to_batches()
        raise FoundError("no")

    with pytest.raises(FoundError, match="no"):
        write_audience(path, broken())
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_another_ending_and_a_folder_are_refused(tmp_path):
    with pytest.raises(FoundError, match=r"written as .csv, .parquet, .jsonl, by the file's ending; found 'a.xlsx'"):
        refuse_unwritable(tmp_path / "a.xlsx")
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(FoundError, match=r"is one file, but .*a.csv is a folder"):
        refuse_unwritable(tmp_path / "a.csv")
