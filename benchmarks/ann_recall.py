"""Recall of the index's search against brute force, without and with scalar filters.

    python benchmarks/ann_recall.py WORKDIR [--uri http://127.0.0.1:19530] [--hnsw EF] [--out FILE]

Users are like those of WORKDIR (a finished run), demands are its texts. The collection and the search are the service's
own (serving/index.py), or with --hnsw a graph of M 16 searched by that ef; a filter takes a random share of the users
(`bucket`). The collection is released and loaded again before it is searched. Without --uri: Milvus Lite, which scans.
A server in a wheel: `pip install --no-deps --target DIR milvus==2.3.5`, then `PYTHONPATH=DIR DIR/bin/milvus-server`.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from populations import like, prefix, real
from pymilvus import MilvusClient

from model.scores import inner_products
from serving.index import SEARCH, TIE_MARGIN, UserIndex
from serving.milvus import Milvus
from serving.rows import BUCKETS, Publication, Row, bucket_of

NAME = "users_recall"
SHARES = (1.0, 0.5, 0.1, 0.01, 0.001)
TARGET = 0.98
NO_TEXTS = np.zeros(0, np.int64), np.zeros(0, np.float32)


def rows(names: list[str], vectors: "np.ndarray") -> Iterable[Row]:
    for name, vector in zip(names, vectors, strict=True):
        yield Row(name, vector, NO_TEXTS, "2000-01-01", "")


def make_graph(milvus: Milvus) -> None:
    """HNSW instead of the service's exact scan."""
    graph = MilvusClient.prepare_index_params()
    graph.add_index("vector", index_type="HNSW", metric_type="IP", params={"M": 16, "efConstruction": 200})
    with milvus.client() as client:
        client.release_collection(NAME)
        client.drop_index(NAME, "vector")
        client.create_index(NAME, graph)
        client.load_collection(NAME)


def load_again(milvus: Milvus) -> None:
    """What a search meets after a restart: sealed segments with their index, none that still grows."""
    with milvus.client() as client:
        client.release_collection(NAME)
        client.load_collection(NAME)


def measured(milvus: Milvus, given: argparse.Namespace, population: Any, queries: "np.ndarray", share: float) -> Any:
    """Recall and milliseconds of one share of the users."""
    k = given.k
    vectors, buckets, names = population
    below = int(share * BUCKETS)
    inside = np.flatnonzero(buckets < below)
    recalls, seconds = [], []
    for query in queries:
        score = inner_products(vectors[inside], query)
        best = inside[np.lexsort((inside, -score))[:k]]
        last = np.sort(score)[-len(best)]
        started = time.perf_counter()
        with milvus.client() as client:
            fetched = k + TIE_MARGIN
            found = client.search(
                NAME,
                [query.tolist()],
                limit=fetched,
                filter="" if share == 1 else f"bucket < {below}",
                output_fields=["user_id"],
                search_params=SEARCH | ({"params": {"ef": given.hnsw}} if given.hnsw else {}),
            )[0]
        seconds.append(time.perf_counter() - started)
        place = np.array([names[hit["entity"]["user_id"]] for hit in found], np.int64)
        assert (buckets[place] < below).all()
        right = int((inner_products(vectors[place], query) >= last - 1e-9).sum())
        recalls.append(min(right, len(best)) / len(best))
    p50, p99 = np.quantile(np.array(seconds) * 1000, [0.5, 0.99])
    return {
        "share": share,
        "users": len(inside),
        "recall": float(np.mean(recalls)),
        "lowest_recall": float(np.min(recalls)),
        "p50_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
    }


def run(given: argparse.Namespace, uri: str) -> dict[str, Any]:
    source = real(given.workdir)
    vectors = prefix(like(source, given.users, seed=1)[0], given.size)
    sentences = source.sentences(given.queries, seed=2)
    read = source.model.read_demands(sentences, source.day.ds)
    queries = prefix(np.stack([demand.vector for demand in read]), given.size)
    names = {f"u{at:08d}": at for at in range(len(vectors))}
    buckets = np.array([bucket_of(name) for name in names])
    milvus = Milvus(uri)
    with UserIndex(milvus) as index:
        if NAME in index.collections():
            index.drop(NAME)
        index.create(Publication(NAME, vectors.shape[1], "recall", 1))
        if given.hnsw:
            make_graph(milvus)
        started = time.perf_counter()
        index.upsert(NAME, rows(list(names), vectors))
        index.settle(NAME)
        assert index.count(NAME) == len(vectors)
        filled = time.perf_counter() - started
        load_again(milvus)
        found = [measured(milvus, given, (vectors, buckets, names), queries, share) for share in SHARES]
        index.drop(NAME)
    norms = np.quantile(np.linalg.norm(vectors, axis=1), [0, 0.1, 0.5, 0.9, 1]).round(2).tolist()
    return {
        "index": ("Milvus server" if given.uri else "Milvus Lite")
        + (f", HNSW, ef {given.hnsw}" if given.hnsw else ", FLAT"),
        "like": given.workdir.parents[1].name if "evaluation" in given.workdir.parts else given.workdir.name,
        "users": given.users,
        "width": vectors.shape[1],
        "norms_0_10_50_90_100": norms,
        "queries": len(queries),
        "k": given.k,
        "fill_seconds": round(filled, 1),
        "machine": f"{platform.processor() or platform.machine()}, shared by other jobs",
        "by_share": found,
    }


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("workdir", type=Path)
    parse.add_argument("--uri", default="")
    parse.add_argument("--hnsw", type=int, default=0, metavar="EF")
    parse.add_argument("--users", type=int, default=100_000)
    parse.add_argument("--size", type=int, default=256)
    parse.add_argument("--queries", type=int, default=50)
    parse.add_argument("--k", type=int, default=1_000)
    parse.add_argument("--out", type=Path)
    given = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        document = run(given, given.uri or str(Path(folder) / "milvus.db"))
    text = json.dumps(document, indent=1)
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")
    worst = min(each["recall"] for each in document["by_share"])
    print(f"lowest mean recall@{given.k}: {worst:.4f}, target {TARGET}: {'met' if worst >= TARGET else 'MISSED'}")


if __name__ == "__main__":
    main()
