"""What a question costs beside the bare search: the desk and the API against `encode + MilvusClient.search`.

    python benchmarks/serving_latency.py WORKDIR [--uri http://127.0.0.1:19530] [--users 100000] [--out FILE]

Users are like those of WORKDIR (a finished run; for vectors of 256 + 2 first `python -m model.shorten --size 256`,
`python -m model.calibration` and `spark-submit spark_jobs/embed_users.py --ds DAY`), with their weighted texts, of whom
those that WORKDIR holds have features online; questions are its texts, asked once each way in a random order. The same
collection, search parameters and encoder for all, once the server has read all users into memory. The bare search is
asked twice: in this process, where the encoder has the one thread that the desk gives it, and in one of its own, where
torch takes the threads it takes. Then --clients ask by HTTP for --seconds, and five times as many.
Without --uri: Milvus Lite. A server in a wheel: see benchmarks/ann_recall.py.
"""

import argparse
import json
import multiprocessing
import platform
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import uvicorn
from populations import Real, like, real
from pymilvus import MilvusClient

from feature_repo.contracts.names import ALIAS, collection
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import TEMPLATE_VERSION
from model.scores import inner_products
from serving.app import create_app
from serving.desk import Desk, open_desk
from serving.facts import Column, Facts, lake_columns, read_facts
from serving.filters import Filter
from serving.held import Held
from serving.index import SEARCH, open_index
from serving.meeting import Meeting
from serving.question import Asked, Question
from serving.rows import Publication, Row
from serving.telemetry.metrics import STAGE_SECONDS

TARGETS = {"p50": 1.3, "p99": 2.0}
QUANTILES = {"p50": 0.5, "p99": 0.99}
BARE = ("bare", "bare apart")
ASKED_OF_DESK = ("desk", "desk with a filter", "desk with reasons", "http with reasons")
WARM, RECALLED = 10, 10
MOST_SECONDS = 600
Ask = Callable[[str], object]


def linked(source: Real, folder: Path, uri: str) -> Settings:
    """A work directory of the same model, texts and features, with an index of its own."""
    for path in source.work.root.iterdir():
        if path.name in ("features", "feast", "models", "text_cache"):
            (folder / path.name).symlink_to(path)
    return Settings(
        workdir=str(folder), milvus_uri=uri, minimum_audience=0, requests_per_minute=10**6, request_burst=10**6
    )


def name_of(at: int) -> str:
    return f"u{at:08d}"


def facts_of(source: Real) -> Facts:
    """The columns that WORKDIR's users are filtered by and whose values are all known: servers before 2.5 hold no
    others."""
    ds = source.day.ds
    every = read_facts(source.work, ds, lake_columns(source.work, ds))
    told = [every.of(user) for user in source.users]
    known = [column for column in every.columns if all(own[column.stored] is not None for own in told)]
    return read_facts(source.work, ds, known)


def half(source: Real, facts: Facts) -> Filter:
    """A filter that leaves about half of the users."""
    column = next(column for column in facts.columns if column.kind == "number")
    values = [value for user in source.users if (value := facts.of(user)[column.stored]) is not None]
    return Filter(column.name, ">=", float(np.median(np.array(values, np.float64))))


def rows(source: Real, count: int, facts: Facts) -> Iterator[Row]:
    vectors, own = like(source, count, seed=1)
    for at, (vector, place) in enumerate(zip(vectors, own.tolist(), strict=True)):
        texts = source.keys[place].values.to_numpy(), source.weights[place].values.to_numpy()
        yield Row(name_of(at), vector, texts, source.day.ds.isoformat(), "", facts.of(source.users[place]))


def fill(source: Real, settings: Settings, users: Iterable[Row], columns: tuple[Column, ...]) -> Publication:
    name = collection(source.model.version)
    made = Publication(name, source.vectors.shape[1], source.model.version, TEMPLATE_VERSION, columns=columns)
    with open_index(settings) as index:
        index.create(made)
        index.upsert(name, users)
        index.settle(name)
        index.stamp(name, ds=source.day.ds.isoformat())
        index.point_alias(name)
    return made


@contextmanager
def serving(settings: Settings, desk: Desk) -> Iterator[str]:
    """The app of this very desk behind a socket."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings, open_desk=lambda _: desk), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def bare(source: Real, opened: Callable[[], AbstractContextManager[MilvusClient]], k: int) -> Ask:
    """Encoding and one search by Milvus' own client."""
    name = collection(source.model.version)

    def ask(sentence: str) -> object:
        (demand,) = source.model.uncalibrated([sentence], source.day.ds)
        query = [demand.vector.tolist()]
        with opened() as client:
            return client.search(name, query, limit=k, output_fields=["user_id"], search_params=SEARCH)

    return ask


def answer_bare(workdir: Path, uri: str, k: int, asked: Connection) -> None:
    client = MilvusClient(uri)
    ask = bare(real(workdir), lambda: nullcontext(client), k)
    while True:
        ask(asked.recv())
        asked.send(True)


@contextmanager
def bare_apart(workdir: Path, uri: str, k: int) -> Iterator[Ask]:
    """The same in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=answer_bare, args=(workdir, uri, k, theirs), daemon=True)
    process.start()

    def ask(sentence: str) -> object:
        ours.send(sentence)
        return ours.recv()

    try:
        yield ask
    finally:
        process.terminate()
        process.join()


def timed(asks: dict[str, Ask], sentences: list[str]) -> dict[str, list[float]]:
    """Seconds of every way to ask, one after the other in a random order. Each has a sentence of its own: what one has
    met no other shall know."""
    g = random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    for at in range(len(sentences) // len(asks)):
        for place, name in enumerate(g.sample(list(asks), len(asks))):
            started = time.perf_counter()
            asks[name](sentences[len(asks) * at + place])
            if at >= WARM:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def compared(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Quantiles, and their ratios to both bare searches with 95 % bootstrap intervals over questions."""
    g = np.random.default_rng(0)
    told: dict[str, Any] = {}
    for name, values in seconds.items():
        own = np.array(values)
        draws, others = g.integers(0, len(own), (2, 2_000, len(own)))
        told[name] = {}
        for label, share in QUANTILES.items():
            told[name][f"{label}_ms"] = round(float(np.quantile(own, share)) * 1000, 2)
            for base in filter(seconds.__contains__, BARE):
                peer = np.array(seconds[base])
                ratios = np.quantile(own[draws], share, axis=1) / np.quantile(peer[others], share, axis=1)
                ratio = np.quantile(own, share) / np.quantile(peer, share)
                found = (ratio, *np.quantile(ratios, [0.025, 0.975]))
                told[name][f"{label}_over_{base}"] = [round(float(each), 3) for each in found]
    return told


def wait_for_memory(desk: Desk) -> float:
    """Seconds until all users are in memory."""
    began = time.monotonic()
    while not isinstance(desk.ready().rows, Held):
        if time.monotonic() - began > MOST_SECONDS:
            raise TimeoutError(f"memory was not filled within {MOST_SECONDS} s: give the users more `memory_mb`.")
        time.sleep(0.5)
    return time.monotonic() - began


def recall(desk: Desk, names: list[str], sentences: list[str], k: int) -> float:
    """The share of the k users of the highest final scores, every user scored, that the desk finds; sentences are asked
    as they are written, whatever serving would read in them."""
    by = desk.ready()
    everybody, found = by.rows.of(names), 0
    for sentence in sentences:
        demands = by.model.read_demands([sentence], by.day)
        asked = Meeting(by.model, by.vectors, demands, by.rows.known).asked(0, everybody.histories)
        score_B = everybody.histories.scores(asked, inner_products(everybody.vectors, demands[0].vector))
        best = {names[row] for row in np.argpartition(-score_B, k)[:k].tolist()}
        found += len(best & {user.user_id for user in desk.target(as_written(sentence), size=k, by=by).users})
    return found / (k * len(sentences))


def as_written(sentence: str) -> Question:
    return Question(sentences=(Asked(sentence),), conditions=())


def stages() -> dict[str, float]:
    return {
        sample.labels["stage"]: sample.value
        for metric in STAGE_SECONDS.collect()
        for sample in metric.samples
        if sample.name.endswith("_sum")
    }


def crowd(url: str, sentences: list[str], k: int, clients: int, seconds: float) -> dict[str, Any]:
    """What `clients` that ask at once, for so long, are answered; and the memory that this process has then."""
    until, lock = time.monotonic() + seconds, threading.Lock()
    statuses, slow = Counter[int](), list[float]()

    def ask(number: int) -> None:
        with httpx.Client(timeout=600) as client:
            at = number
            while time.monotonic() < until:
                started = time.perf_counter()
                asked = {"demand": sentences[at % len(sentences)], "size": k}
                status = client.post(f"{url}/v1/audiences:target", json=asked).status_code
                with lock:
                    statuses[status] += 1
                    slow.append(time.perf_counter() - started)
                at += clients

    before = psutil.Process().memory_info().rss
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "clients": clients,
        "seconds": seconds,
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "p50_ms": round(float(np.quantile(slow, 0.5)) * 1000, 1),
        "grown_mb": round((psutil.Process().memory_info().rss - before) / 2**20, 1),
    }


def run(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    source = real(given.workdir)
    settings = linked(source, folder, given.uri)
    facts = facts_of(source)
    fill(source, settings, rows(source, given.users, facts), facts.columns)
    filters = (half(source, facts),)
    desk = open_desk(settings)
    with ExitStack() as stack:
        url = stack.enter_context(serving(settings, desk))
        client = stack.enter_context(httpx.Client(timeout=600))

        def by_http(sentence: str) -> object:
            answer = client.post(f"{url}/v1/audiences:target", json={"demand": sentence, "size": given.k})
            answer.raise_for_status()
            return answer.json()

        asks: dict[str, Ask] = {
            "bare": bare(source, desk.ready().index.milvus.client, given.k),
            ASKED_OF_DESK[0]: lambda sentence: desk.target(Question(sentence), size=given.k, explain=0),
            ASKED_OF_DESK[1]: lambda said: desk.target(Question(said, filters=filters), size=given.k, explain=0),
            ASKED_OF_DESK[2]: lambda sentence: desk.target(Question(sentence), size=given.k),
            ASKED_OF_DESK[3]: by_http,
        }
        if given.uri:  # a Milvus Lite file has one process
            asks["bare apart"] = stack.enter_context(bare_apart(given.workdir, given.uri, given.k))
        sentences = source.sentences(len(asks) * (given.questions + WARM), seed=2)
        filled = wait_for_memory(desk)
        began = stages()
        found = compared(timed(asks, sentences))
        asked = len(ASKED_OF_DESK) * len(sentences) // len(asks)
        spent = {name: round((total - began.get(name, 0.0)) / asked * 1000, 2) for name, total in stages().items()}
        recalled = recall(desk, [name_of(at) for at in range(given.users)], sentences[:RECALLED], given.k)
        calm = crowd(url, sentences, given.k, given.clients, given.seconds)
        overload = crowd(url, sentences, given.k, 5 * given.clients, given.seconds)
        if given.uri:
            index = desk.ready().index
            with index.milvus.client() as milvus:
                milvus.drop_alias(ALIAS)
            index.drop(collection(source.model.version))
    return {
        "index": "Milvus server" if given.uri else "Milvus Lite",
        "users": given.users,
        "width": source.vectors.shape[1],
        "k": given.k,
        "questions": given.questions,
        "machine": platform.processor() or platform.machine(),
        "columns": len(facts.columns),
        "filter": str(filters[0]),
        "memory_filled_s": round(filled, 1),
        "recall": round(recalled, 4),
        "ways": found,
        "stages_ms": spent,
        "crowd": calm,
        "overload": overload,
    }


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("workdir", type=Path)
    parse.add_argument("--uri", default="")
    parse.add_argument("--users", type=int, default=100_000)
    parse.add_argument("--questions", type=int, default=200)
    parse.add_argument("--k", type=int, default=1_000)
    parse.add_argument("--clients", type=int, default=32)
    parse.add_argument("--seconds", type=float, default=60.0)
    parse.add_argument("--out", type=Path)
    given = parse.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        document = run(given, folder)
    finally:
        shutil.rmtree(folder)
    text = json.dumps(document, indent=1)
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")
    for way, told in document["ways"].items():
        for name, found in told.items():
            label, _, base = name.partition("_over_")
            if base and way not in BARE:
                met = "met" if found[0] < TARGETS[label] else "MISSED"
                print(f"{way} {label}: {found[0]:.2f} of {base}, target {TARGETS[label]}: {met}")


if __name__ == "__main__":
    main()
