"""`found export` of a million users against brute force: the same users in the same order, with the same scores.

    python benchmarks/export_million.py WORKDIR [--users 1000000] [--size 100000] [--out benchmarks/results/NAME.json]

Users are like those of WORKDIR (a finished run), with their texts; its model and text cache answer. The command runs as
a user runs it, from the start of Spark to the file.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from populations import Real, like, real

from feature_repo.contracts.names import EMBEDDING, Workdir
from model.served import ServedModel
from model.vectors import Users

FILES = 8
CHUNK = 20_000
Part = tuple["np.ndarray", "np.ndarray", "np.ndarray"]
"""Names, vectors, and the real users whose texts they have."""


def parts(source: Real, users: int) -> Iterator[Part]:
    """All users in chunks; a user's place has nothing to do with the name."""
    names = np.random.default_rng(3).permutation(users)
    for seed, start in enumerate(range(0, users, CHUNK)):
        chosen = names[start : start + CHUNK]
        yield chosen, *like(source, len(chosen), seed)


def write(source: Real, work: Workdir, users: int) -> None:
    """The users as a day's embeddings, beside the model and the text cache of the real ones."""
    work.root.mkdir(parents=True, exist_ok=True)
    work.models.symlink_to(source.work.models)
    work.text_cache.symlink_to(source.work.text_cache)
    folder = work.partition(EMBEDDING, source.day.ds)
    folder.mkdir(parents=True)
    per_file = -(-users // CHUNK // FILES)
    writer, at = None, 0
    for at, (names, vectors, own) in enumerate(parts(source, users)):
        table = pa.table(
            {
                "user_id": [f"u{name:08d}" for name in names],
                "vector": pa.ListArray.from_arrays(np.arange(len(names) + 1) * vectors.shape[1], vectors.ravel()),
                "text_keys": source.keys.take(pa.array(own)),
                "text_weights": source.weights.take(pa.array(own)),
                "input_hash": pa.array([""] * len(names)),
                "model_version": [source.day.model_version] * len(names),
            }
        )
        if at % per_file == 0:
            if writer:
                writer.close()
            writer = pq.ParquetWriter(folder / f"part-{at // per_file:05d}.parquet", table.schema)
        assert writer
        writer.write_table(table)
    assert writer
    writer.close()


def brute_force(source: Real, users: int, demand: str) -> tuple["np.ndarray", "np.ndarray"]:
    """Everybody's number and score, best first, ties by user_id."""
    model = ServedModel.from_pretrained(source.work.models / source.day.model_version)
    (asked,), vectors = model.read_demands([demand], source.day.ds), model.text_vectors(source.work.text_cache)
    texts = [(k.values.to_numpy(), w.values.to_numpy()) for k, w in zip(source.keys, source.weights, strict=True)]
    names, scores = [], []
    for chosen, user_vectors, own in parts(source, users):
        names.append(chosen)
        scores.append(model.score(Users(user_vectors, [texts[at] for at in own]), asked, vectors))
    name, score = np.concatenate(names), np.concatenate(scores)
    order = np.lexsort((name, -score))
    return name[order], score[order]


def run(given: argparse.Namespace, work: Workdir) -> dict[str, Any]:
    source = real(given.workdir)
    write(source, work, given.users)
    out = work.root / "audience.parquet"
    command = [sys.executable, "-m", "serving.cli", "export", given.demand, "--workdir", str(work.root)]
    started = time.perf_counter()
    subprocess.run([*command, "--size", str(given.size), "--out", str(out)], check=True)
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    name, score = brute_force(source, given.users, given.demand)
    brute = time.perf_counter() - started
    found = pq.read_table(out)
    expected = [f"u{at:08d}" for at in name[: given.size]]
    same = bool(found["user_id"].to_pylist() == expected)
    return {
        "users": given.users,
        "size": given.size,
        "width": source.model.width,
        "texts_per_user": round(float(np.mean(source.keys.value_lengths().to_numpy())), 1),
        "demand": given.demand,
        "order_equals_brute_force": same,
        "scores_equal_bit_by_bit": bool((found["score"].to_numpy() == score[: given.size]).all()),
        "tied_with_the_one_before": int((np.diff(score[: given.size]) == 0).sum()),
        "seconds_from_start_to_file": round(seconds, 1),
        "users_per_second": round(given.users / seconds),
        "brute_force_seconds_one_thread": round(brute, 1),
        "machine": f"{platform.processor() or platform.machine()}, local[2], shared by other jobs",
    }


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("workdir", type=Path)
    parse.add_argument("--users", type=int, default=1_000_000)
    parse.add_argument("--size", type=int, default=100_000)
    parse.add_argument("--demand", default="people who will order again next month")
    parse.add_argument("--out", type=Path)
    given = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        document = run(given, Workdir(Path(folder) / "work"))
    text = json.dumps(document, indent=1)
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")
    if not (document["order_equals_brute_force"] and document["scores_equal_bit_by_bit"]):
        sys.exit("the export is not what brute force gives")


if __name__ == "__main__":
    main()
