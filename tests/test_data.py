"""Training pairs: every pair exactly once per epoch over any number of ranks, in an order that can be resumed."""

import json
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from model_pairs import COLUMNS, CUTOFFS, write_pairs

from feature_repo.contracts.errors import FoundError
from model.data import Cutoffs, Loader, open_pairs, read_file, read_file_pyarrow

UNEVEN = (5, 1, 9, 3, 2, 7, 4)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """31 pairs in 7 files of unequal size."""
    return open_pairs(write_pairs(tmp_path_factory.mktemp("uneven") / "pairs", rows_per_file=UNEVEN))


def epochs(pairs, ranks, *, number=0, batch=4, seed=1, read=read_file_pyarrow):
    """The batches of every rank."""
    return [list(Loader(pairs, batch, seed, rank, ranks, read=read).epoch(number)) for rank in range(ranks)]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_every_pair_occurs_exactly_once_per_epoch(uneven, ranks, number):
    batches = epochs(uneven, ranks, number=number)

    seen = Counter(int(k) for rank in batches for batch in rank if batch is not None for k in batch["user_key"])

    assert seen == Counter(range(1, 1 + sum(UNEVEN)))


@pytest.mark.parametrize("ranks", [1, 2, 4, 7])
def test_uneven_files_give_every_rank_equally_many_batches(uneven, ranks):
    batches = epochs(uneven, ranks)

    assert len({len(rank) for rank in batches}) == 1
    assert ranks == 1 or any(batch is None for rank in batches for batch in rank)
    assert any(rank[-1] is not None for rank in batches), "no epoch is longer than its longest rank"
    for rank in batches:
        empty = [batch is None for batch in rank]
        assert empty == sorted(empty), "a rank that has run out stays out"


def test_petastorm_reads_what_pyarrow_reads(uneven):
    for path in uneven.files:
        ours, twin = read_file(path), read_file_pyarrow(path)
        assert list(ours) == list(twin) == [c.name for c in COLUMNS]
        for column in COLUMNS:
            np.testing.assert_array_equal(ours[column.name], twin[column.name])
            assert ours[column.name].dtype == twin[column.name].dtype == column.kind
            assert ours[column.name].shape[1:] == (() if column.length is None else (column.length,))


def test_reading_prints_nothing(uneven, capfd):
    read_file(uneven.files[0])

    assert capfd.readouterr() == ("", "")


def test_the_loader_gives_the_same_batches_through_either_reader(uneven):
    for one, other in zip(epochs(uneven, 2, read=read_file), epochs(uneven, 2), strict=True):
        for left, right in zip(one, other, strict=True):
            assert (left is None) == (right is None)
            if left is not None:
                np.testing.assert_array_equal(left["user_key"], right["user_key"])


def order(pairs, *, seed, number):
    return [k for batch in epochs(pairs, 1, seed=seed, number=number)[0] for k in batch["user_key"].tolist()]


def test_the_order_is_a_function_of_seed_and_epoch(uneven):
    assert order(uneven, seed=1, number=0) == order(uneven, seed=1, number=0)
    assert order(uneven, seed=1, number=0) != order(uneven, seed=1, number=1)
    assert order(uneven, seed=1, number=0) != order(uneven, seed=2, number=0)


def test_the_batches_after_a_resume_are_those_without_one(uneven):
    loader = Loader(uneven, 4, 1, 0, 2, read=read_file_pyarrow)
    keys = [None if b is None else b["user_key"].tolist() for b in islice(loader.steps(), 20)]

    resumed = [None if b is None else b["user_key"].tolist() for b in islice(loader.steps(), 13, 20)]

    assert resumed == keys[13:] and len(list(loader.epoch(0))) < 13


def test_columns_stay_together_in_a_batch(uneven):
    rows = {int(k): i for path in uneven.files for i, k in enumerate(read_file_pyarrow(path)["user_key"])}
    files = {int(k): read_file_pyarrow(path) for path in uneven.files for k in read_file_pyarrow(path)["user_key"]}
    for batch in epochs(uneven, 1)[0]:
        for place, key in enumerate(batch["user_key"].tolist()):
            for column in COLUMNS:
                np.testing.assert_array_equal(batch[column.name][place], files[key][column.name][rows[key]])


def test_any_batch_is_one_row(uneven):
    assert {len(v) for v in Loader(uneven, 4, 1).any_batch().values()} == {1}


def test_more_processes_than_files_are_refused(uneven):
    with pytest.raises(FoundError) as refused:
        Loader(uneven, 4, 1, 0, 8)

    assert str(refused.value) == (
        f"8 processes need at least as many files of pairs, found 7 in {uneven.folder}: "
        "use fewer processes or build more pairs."
    )


def test_missing_pairs_are_refused(tmp_path):
    with pytest.raises(FoundError, match=r"no training pairs in .*: run spark_jobs/build_pairs.py first\."):
        open_pairs(tmp_path)


@pytest.mark.parametrize("key", ["schema_version", "template_version"])
def test_pairs_of_another_version_are_refused(tmp_path, key):
    folder = write_pairs(tmp_path / "pairs", rows_per_file=(2, 2))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {key: 99}))

    with pytest.raises(FoundError, match=rf"have {{'{key}': 99}}, this code reads .*: build them again\."):
        open_pairs(folder)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_a_range_of_cutoffs_and_the_rest_are_every_pair_once(uneven, ranks):
    newest = uneven.cutoff_days[-1]
    seen: dict[bool, list[int]] = {}
    for is_newest, cutoffs in ((False, Cutoffs(end=newest)), (True, Cutoffs(first=newest))):
        loaders = [Loader(uneven, 4, 1, r, ranks, read=read_file_pyarrow, cutoffs=cutoffs) for r in range(ranks)]
        batches = [list(loader.epoch(0)) for loader in loaders]
        assert len({len(rank) for rank in batches}) == 1
        real = [batch for rank in batches for batch in rank if batch is not None]
        assert all(((batch["cutoff_day"] == newest) == is_newest).all() for batch in real)
        seen[is_newest] = [int(key) for batch in real for key in batch["user_key"]]

    assert sorted(seen[True]) == [n for n in range(1, 1 + sum(UNEVEN)) if n % len(CUTOFFS) == 2]
    assert sorted(seen[True] + seen[False]) == list(range(1, 1 + sum(UNEVEN)))


def test_the_cutoffs_of_pairs_are_days_in_order(uneven):
    assert uneven.cutoff_days == [19052, 19144, 19236]


def test_steps_without_any_pair_are_refused_instead_of_endless(uneven):
    steps = Loader(uneven, 4, 1, read=read_file_pyarrow, cutoffs=Cutoffs(first=30_000)).steps()

    with pytest.raises(FoundError) as refused:
        next(steps)
    assert str(refused.value) == (
        f"no pair in {uneven.folder} has a cut-off in this range: build pairs at more cut-offs."
    )
