"""Each text is encoded once; the cache is replaced whole or not at all."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.templates import text_key
from model.text_cache import CachedEncoder, TextCache, TextTable, read_table

WIDTH = 4


class CountingEncoder:
    """An encoder that remembers what it was asked; a text's vector is a function of the text."""

    width, fingerprint = WIDTH, "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts):
        self.asked += texts
        return np.array([[len(t), text_key(t) % 97, ord(t[0]), 1] for t in texts], np.float32)


def keys_of(texts) -> np.ndarray:
    return np.array([text_key(t) for t in texts], np.int64)


def test_each_text_is_encoded_once_however_often_it_is_asked_for(tmp_path):
    counting = CountingEncoder()
    first = CachedEncoder(tmp_path, counting)

    first.encode(["tea", "milk", "tea"])
    again = CachedEncoder(tmp_path, counting)
    vectors = again.encode(["milk", "bread", "tea"])

    assert sorted(counting.asked) == ["bread", "milk", "tea"]
    np.testing.assert_array_equal(vectors, CountingEncoder().encode(["milk", "bread", "tea"]))
    assert first.hit_rate == pytest.approx(1 / 3) and again.hit_rate == pytest.approx(2 / 3)


def test_the_table_holds_exactly_the_texts_asked_for_by_ascending_key(tmp_path):
    cached = CachedEncoder(tmp_path, CountingEncoder())
    cached.encode(["tea", "milk", "bread"])

    table = cached.table(keys_of(["milk", "tea"]), ["milk", "tea"])

    assert table.keys.tolist() == sorted(keys_of(["milk", "tea"]).tolist())
    assert not table.vectors[0].any() and len(table.vectors) == 3
    rows = table.rows(np.array([[text_key("tea"), 0]]))
    np.testing.assert_array_equal(table.vectors[rows[0, 0]], CountingEncoder().encode(["tea"])[0])
    assert rows[0, 1] == 0


def test_encoders_with_other_fingerprints_share_nothing(tmp_path):
    one, other = CountingEncoder(), CountingEncoder()
    other.fingerprint = "another"
    CachedEncoder(tmp_path, one).encode(["tea"])
    CachedEncoder(tmp_path, other).encode(["tea"])

    assert one.asked == other.asked == ["tea"]


@pytest.mark.parametrize("known", [["tea"], []])
def test_an_unknown_key_is_refused_by_number(known):
    vectors = np.zeros((len(known) + 1, WIDTH), np.float32)
    table = TextTable(keys_of(known), vectors)

    with pytest.raises(FoundError, match=r"text key 12345 has no vector: encode the texts of this snapshot first\."):
        table.rows(np.array([[0, 12345]]))
    with pytest.raises(FoundError, match="12345"):
        table.select(np.array([12345]))
    assert table.rows(np.zeros((2, 2), np.int64)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("point", ["numpy.save", "model.text_cache.os.replace"])
def test_a_crash_while_writing_leaves_the_former_table_readable(tmp_path, monkeypatch, point):
    cached = CachedEncoder(tmp_path, CountingEncoder())
    before = cached.encode(["tea", "milk"])

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(point, crash)
        with pytest.raises(KeyboardInterrupt):
            cached.encode(["bread"])
    table = read_table(cached.cache.folder)

    assert table.keys.tolist() == sorted(keys_of(["tea", "milk"]).tolist())
    np.testing.assert_array_equal(table.vectors[table.rows(keys_of(["tea", "milk"]))], before)
    cached.encode(["bread"])
    generations = [p for p in cached.cache.folder.iterdir() if p.is_dir()]
    assert len(generations) == 1 and len(read_table(cached.cache.folder).keys) == 3


def encode_some(folder, writer: int) -> bool:
    """Encodes twenty texts one by one, half of them also another writer's; were all of them right?"""
    cached, texts = CachedEncoder(folder, CountingEncoder()), [f"{(writer + i % 2) % 4} text {i}" for i in range(20)]
    return all(np.array_equal(cached.encode([t]), CountingEncoder().encode([t])) for t in texts)


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        right = list(pool.map(encode_some, [tmp_path] * 4, range(4)))

    folder = tmp_path / CountingEncoder.fingerprint
    expected = {f"{(w + i % 2) % 4} text {i}" for w in range(4) for i in range(20)}
    assert all(right)
    assert read_table(folder).keys.tolist() == sorted(keys_of(sorted(expected)).tolist())
    assert len([p for p in folder.iterdir() if p.is_dir()]) == 1


def test_an_empty_cache_is_an_empty_table(tmp_path):
    table = TextCache(tmp_path, "new", width=WIDTH).table()

    assert len(table.keys) == 0 and table.vectors.shape == (1, WIDTH)


def test_the_real_encoder_is_deterministic_and_its_cache_exact(tmp_path, encoder):
    texts = ["garden chair", "a much longer text about coffee cups and where to buy them", "tea"]

    vectors = CachedEncoder(tmp_path, encoder).encode(texts)

    np.testing.assert_allclose(vectors, encoder.encode(texts), atol=1e-6)
    np.testing.assert_allclose(vectors, np.concatenate([encoder.encode([t]) for t in texts]), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.fingerprint == encoder.fingerprint
