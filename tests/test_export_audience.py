"""The export by Spark: exactly the brute-force order, the service's own answer, the same bytes again, clear errors."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import EMBEDDING, Workdir
from feature_repo.contracts.settings import Settings
from feature_repo.embedding_days import chosen_day
from model.combining import Sentence, answered, probabilities
from model.served import ServedModel
from model.vectors import Users
from serving.eligibility import Limits
from serving.index import open_index
from serving.meeting import Meeting
from serving.publish import publish
from serving.question import Asked
from serving.ranking import Ranking
from serving.remembered import Remembered
from spark_jobs.audience_files import SCHEMA
from spark_jobs.export_audience import Order, export_audience, lowest_score, run
from spark_jobs.export_audience import arguments as job_arguments
from spark_jobs.session import main

DAY = date(2024, 6, 1)
DEMAND = "families who will buy a garden chair"
USERS, FEW, FILES = 6_000, 900, 5


@dataclass(frozen=True)
class Stored:
    """A work directory with one day of embeddings, and what it holds."""

    work: Workdir
    names: list[str]
    users: Users

    def expected(self, model: ServedModel, texts, demand: str = DEMAND) -> list[tuple[str, float]]:
        """Everybody by brute force, best first, ties by user_id, for the demand as a service reads it."""
        scores = model.score(self.users, model.read_demands([demand], DAY)[0], texts)
        return sorted(zip(self.names, scores.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))


def write_day(work: Workdir, ds: date, names, users: Users, version: str) -> None:
    """FILES files; a user's place in them has nothing to do with the name."""
    folder = work.partition(EMBEDDING, ds)
    folder.mkdir(parents=True)
    for number, part in enumerate(np.array_split(np.arange(len(names)), FILES)):
        table = pa.table(
            {
                "user_id": [names[at] for at in part],
                "vector": pa.array([users.vectors[at] for at in part], pa.list_(pa.float32())),
                "text_keys": pa.array([users.texts[at][0] for at in part], pa.list_(pa.int64())),
                "text_weights": pa.array([users.texts[at][1] for at in part], pa.list_(pa.float32())),
                "input_hash": ["h"] * len(part),
                "model_version": [version] * len(part),
            }
        )
        pq.write_table(table, folder / f"part-{number:05d}.parquet")


def stored_users(root: Path, model, models: Path, texts, cache: Path, count: int) -> Stored:
    """Random users of whom two in three have a double elsewhere: ties at every place of the order."""
    work, g, different = Workdir(root), np.random.default_rng(1), count // 2
    root.mkdir(exist_ok=True)
    work.models.symlink_to(models)
    work.text_cache.symlink_to(cache)
    vectors = (g.standard_normal((different, model.width)) * g.uniform(0.1, 1, (different, 1))).astype(np.float32)
    own = [np.sort(g.choice(texts.keys, g.integers(0, 9), replace=False)) for _ in range(different)]
    pairs = [(keys, g.uniform(0, 2, len(keys)).astype(np.float32)) for keys in own]
    who = np.concatenate([np.arange(different), g.integers(0, different, count - different)])
    names = [f"ü{at:05d}" if at % 7 else f"u-{at}" for at in g.permutation(count).tolist()]
    users = Users(vectors[who], [pairs[at] for at in who])
    write_day(work, DAY, names, users, model.version)
    return Stored(work, names, users)


@pytest.fixture(scope="module")
def stored(tmp_path_factory, trained, trained_folder, texts, text_cache) -> Stored:
    return stored_users(tmp_path_factory.mktemp("work"), trained, trained_folder, texts, text_cache, USERS)


@pytest.fixture(scope="module")
def served(trained_folder) -> ServedModel:
    return ServedModel.from_pretrained(trained_folder / (trained_folder / "CURRENT").read_text())


def export(spark, work: Workdir, out: Path, **asked) -> list[tuple[str, float]]:
    """What the file holds; its ranks and probabilities are checked here."""
    users = export_audience(spark, work, chosen_day(work, None), Order(DEMAND, out, **asked))
    table = (pc.read_csv(out) if out.suffix == ".csv" else pq.read_table(out)).cast(SCHEMA)
    assert table["rank"].to_pylist() == list(range(1, users + 1))
    scores = table["score"].to_numpy()
    np.testing.assert_allclose(table["probability"], 1 / (1 + np.exp(-scores)), rtol=1e-12)
    return list(zip(table["user_id"].to_pylist(), scores.tolist(), strict=True))


@pytest.mark.parametrize("size", [1, 100, 2_345])
def test_the_export_is_exactly_the_brute_force_order(size, spark, stored, served, texts, tmp_path):
    expected = stored.expected(served, texts)

    found = export(spark, stored.work, tmp_path / "a.parquet", size=size)

    assert found == expected[:size]
    assert len({score for _, score in expected}) <= USERS // 2


def test_a_size_beyond_all_users_exports_everybody_to_the_same_bytes_again(spark, stored, served, texts, tmp_path):
    out = tmp_path / "a.csv"

    assert export(spark, stored.work, out, size=10 * USERS) == stored.expected(served, texts)

    first = out.read_bytes()
    export(spark, stored.work, out, size=10 * USERS)
    assert out.read_bytes() == first
    assert list(tmp_path.iterdir()) == [out]


def test_a_minimum_probability_takes_all_above_it(spark, stored, served, texts, tmp_path):
    expected = stored.expected(served, texts)
    at = served.probabilities(np.array([expected[1_500][1]]))[0]
    above = [pair for pair in expected if served.probabilities(np.array([pair[1]]))[0] >= at]

    assert export(spark, stored.work, tmp_path / "a.parquet", minimum_probability=at) == above
    assert export(spark, stored.work, tmp_path / "b.csv", minimum_probability=at, size=200) == above[:200]
    assert export(spark, stored.work, tmp_path / "c.csv", minimum_probability=1.0) == []


def test_suppressed_users_are_in_no_export(spark, stored, served, texts, tmp_path):
    expected = stored.expected(served, texts)
    suppressed = tuple(user for user, _ in expected[:50:7])

    found = export(spark, stored.work, tmp_path / "a.csv", size=100, suppressed=suppressed)

    assert found == [pair for pair in expected if pair[0] not in suppressed][:100]


SENTENCES = (Sentence(DEMAND), Sentence("coffee drinkers", negated=True), Sentence("tents", joined="or"))


@pytest.mark.parametrize("sentences", [SENTENCES, SENTENCES[1:2]], ids=["several", "one that is negated"])
def test_several_sentences_are_scored_as_the_service_combines_them(sentences, spark, stored, served, texts, tmp_path):
    among = tmp_path / "among"
    among.mkdir()
    names = sorted(stored.names)[::3]
    pq.write_table(pa.table({"user_id": names}), among / "part-0.parquet")
    order = Order("", tmp_path / "a.parquet", sentences=sentences, size=500, among=among)

    assert export_audience(spark, stored.work, chosen_day(stored.work, DAY), order) == 500

    demands = served.read_demands([sentence.text for sentence in sentences], DAY)
    each = [served.score(stored.users, demand, texts) for demand in demands]
    scores, likely = answered(served.probabilities, sentences, each)
    of = dict(zip(stored.names, zip(scores.tolist(), likely.tolist(), strict=True), strict=True))
    found = pq.read_table(order.out).to_pylist()
    expected = sorted(names, key=lambda user: (-of[user][0], user))[:500]
    assert [(row["user_id"], row["score"]) for row in found] == [(user, of[user][0]) for user in expected]
    assert [row["probability"] for row in found] == pytest.approx([of[user][1] for user in expected], rel=1e-9)


def test_probabilities_without_the_model_are_the_models(served):
    scores = np.linspace(-50, 50, 1_001)
    assert np.array_equal(probabilities(scores), served.probabilities(scores))


def test_filters_for_every_audience_are_never_passed_over(stored, tmp_path):
    settings = Settings(workdir=str(stored.work.root), default_filters="consent = true")
    given = job_arguments().parse_args(["--demand", DEMAND, "--size", "5", "--out", str(tmp_path / "a.csv")])

    with pytest.raises(FoundError, match="no columns to filter by, but default_filters is 'consent = true'"):
        run(settings, given)
    missing = Settings(workdir=str(stored.work.root), suppressed_users=str(tmp_path / "gone"))
    with pytest.raises(FoundError, match="gone must be a text file with one user id a line"):
        run(missing, given)
    assert not list(tmp_path.iterdir())


def test_the_service_gives_the_same_users_in_the_same_order(
    spark, trained, served, trained_folder, texts, text_cache, tmp_path
):
    few = stored_users(tmp_path / "few", trained, trained_folder, texts, text_cache, FEW)
    settings = Settings(workdir=str(few.work.root))
    with open_index(settings) as index:
        publish(index, few.work, DAY)
        name = index.published().collection
        served.hasten()
        ranking = Ranking(served, index, name, None, Remembered(index, name, megabytes=1))
        meeting = Meeting(served, texts, served.read_demands([DEMAND], DAY), None)
        found = ranking.best([Asked(DEMAND)], meeting, 300, Limits())

    expected = list(zip(found.names, found.scores.tolist(), strict=True))
    assert export(spark, few.work, tmp_path / "a.csv", size=300) == expected


def test_the_lowest_score_is_just_below_those_of_the_probability(trained):
    for probability in (1e-9, 0.01, 0.5, 0.9):
        lowest = lowest_score(trained, probability)
        assert trained.probabilities(np.array([lowest]))[0] < probability
        assert trained.probabilities(np.array([lowest + 1e-6]))[0] >= probability
    assert lowest_score(trained, 0.0) == -np.inf


def refused(stored: Stored, capsys, *argv: str) -> str:
    given = ["--workdir", str(stored.work.root), *argv]
    with pytest.raises(SystemExit) as stopped:
        main(run, job_arguments(), given)
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("--demand", " ", "--size", "5", "--out", "a.csv"), "a demand must be a sentence, found an empty one"),
        (("--demand", "x", "--out", "a.csv"), "needs a limit: give --size, --minimum-probability, or both"),
        (("--demand", "x", "--size", "0", "--out", "a.csv"), "--size must be at least 1, found 0"),
        (("--demand", "x", "--minimum-probability", "2", "--out", "a.csv"), "must lie between 0 and 1, found 2.0"),
        (("--demand", "x", "--size", "5", "--out", "a.xls"), "written as .csv, .parquet, .jsonl"),
        (
            ("--demand", "x", "--size", "5", "--out", "a.csv", "--ds", "2023-01-01"),
            "no embeddings of 2023-01-01, found those of: 2024-06-01. Run spark_jobs/embed_users.py --ds 2023-01-01",
        ),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_read(argv, told, stored, capsys):
    assert told in refused(stored, capsys, *argv)


@pytest.fixture
def bare(tmp_path, trained_folder, text_cache) -> Workdir:
    """A work directory with the trained model under its own name, and no embeddings."""
    work = Workdir(tmp_path / "bare")
    work.models.mkdir(parents=True)
    work.text_cache.symlink_to(text_cache)
    version = (trained_folder / "CURRENT").read_text()
    (work.models / version).symlink_to(trained_folder / version)
    work.current_model.write_text(version)
    return work


def ten_users(work: Workdir, texts, ds: date, version: str, *, width: int = 0, keys: int = 1, value: float = 0.0):
    own = texts.keys[:keys] if keys else np.array([12345])
    users = Users(np.full((10, width), value, np.float32), [(own, np.ones(len(own), np.float32))] * 10)
    write_day(work, ds, [f"u{at}" for at in range(10)], users, version)


def test_a_day_of_another_model_is_refused(spark, bare, trained, texts, tmp_path):
    ten_users(bare, texts, DAY, "gone", width=trained.width)
    with pytest.raises(
        FoundError, match=r"were made by model 'gone', but there is no .*copy that model there, or embed"
    ):
        export(spark, bare, tmp_path / "a.csv", size=5)

    (bare.models / "gone").symlink_to(bare.models / trained.version)
    with pytest.raises(FoundError, match=rf"were made by model 'gone', .* holds model '{trained.version}': embed the"):
        export(spark, bare, tmp_path / "a.csv", size=5)


def test_a_day_of_two_models_is_refused(bare, trained, texts):
    ten_users(bare, texts, DAY, trained.version, width=trained.width)
    folder = bare.partition(EMBEDDING, DAY)
    table = pq.read_table(folder / "part-00000.parquet", partitioning=None)
    other = table.set_column(table.column_names.index("model_version"), "model_version", pa.array(["b"] * len(table)))
    pq.write_table(other, folder / "part-00009.parquet")

    with pytest.raises(FoundError, match="embeddings must come from one model, found"):
        chosen_day(bare, DAY)


def test_the_day_is_the_newest_of_the_model_in_service_else_the_newest(bare, trained, texts):
    with pytest.raises(FoundError, match=r"there are no embeddings in .*: run spark_jobs/embed_users.py first"):
        chosen_day(bare, None)
    for day, version in ((1, "old"), (2, trained.version), (3, "new")):
        ten_users(bare, texts, DAY.replace(day=day), version, width=trained.width)

    assert chosen_day(bare, None).ds.day == 2
    assert chosen_day(bare, DAY).model_version == "old"
    bare.current_model.write_text("not-yet-embedded")
    assert chosen_day(bare, None).ds.day == 3


@pytest.mark.parametrize("wrong", [{"value": np.nan}, {"keys": 0}])
def test_a_user_that_cannot_be_scored_is_named_and_no_file_is_written(wrong, spark, bare, trained, texts, tmp_path):
    ten_users(bare, texts, DAY, trained.version, width=trained.width, **wrong)

    with pytest.raises(FoundError, match="user 'u0' has no score: the vector must be finite numbers, and the text"):
        export(spark, bare, tmp_path / "a.csv", size=5)
    assert not (tmp_path / "a.csv").exists()
