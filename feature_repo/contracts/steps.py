"""The steps of training and of a night, as argument lists: one list serves `found run` and the DAGs.

Steps take what differs from run to run (`{ds}`, `{cutoffs}`, `{until}`) as arguments and everything else
from the settings in the environment (`Settings.environment`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SPARK_CONF_DIR = PROJECT / "spark_jobs" / "conf"
"""Heap, collector and logging of the Spark steps; a SPARK_CONF_DIR of your own replaces it."""

ENVIRONMENT: Mapping[str, str] = {
    "SPARK_CONF_DIR": str(SPARK_CONF_DIR),
    # Threads that spin while they wait for each other slow two torch processes on the same cores down tenfold.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""What a step finds in its environment unless something else is set."""


@dataclass(frozen=True)
class Step:
    """One process. `command` may hold {placeholders}; it is safe to run again."""

    name: str
    command: tuple[str, ...]
    after: tuple[str, ...] = ()
    heading: str = ""

    def argv(self, values: Mapping[str, str]) -> list[str]:
        return [word.format_map(values) for word in self.command]


def _spark(job: str, *arguments: str) -> tuple[str, ...]:
    return ("spark-submit", str(PROJECT / "spark_jobs" / f"{job}.py"), *arguments)


def _train(stage: int) -> tuple[str, ...]:
    return ("torchrun", "--standalone", "--nproc-per-node={ranks}", "-m", "model.train", "--stage", str(stage))


TRAINING = (
    Step("validate", _spark("validate_lake"), heading="check the lake against the contract"),
    Step(
        "pairs",
        _spark("build_pairs", "--cutoffs", "{cutoffs}", "--until", "{until}"),
        after=("validate",),
        heading="window histories and futures, render texts, join through Feast",
    ),
    Step("stage1", _train(1), after=("pairs",), heading="pre-train the user encoders (stage 1)"),
    Step("stage2", _train(2), after=("stage1",), heading="align users and texts (stage 2)"),
)

NIGHTLY = (
    Step("features", _spark("build_features", "--ds", "{ds}"), heading="snapshot every user as of the cut-off"),
    Step(
        "embed",
        _spark("embed_users", "--ds", "{ds}"),
        after=("features",),
        heading="embed the users whose input changed",
    ),
    Step(
        "publish", ("python", "-m", "serving.publish", "--ds", "{ds}"), after=("embed",), heading="upsert into Milvus"
    ),
    Step(
        "materialize",
        ("python", "-m", "feature_repo.store", "materialize", "--ds", "{ds}"),
        after=("features", "publish"),
        heading="load the snapshot into Feast's online store",
    ),
    Step(
        "materialize_embedding",
        ("python", "-m", "feature_repo.store", "materialize", "--ds", "{ds}", "--views", "embedding"),
        after=("publish", "materialize"),
        heading="load the embeddings into Feast's online store",
    ),
)

PROMISES = (
    Step(
        "backtest",
        ("python", "-m", "serving.audiences.backtest", "--ds", "{ds}"),
        after=("publish",),
        heading="look at what became of audiences whose window has passed",
    ),
)
"""The end of a night. It reads the lake only when a window has passed, and nothing waits for it."""

OUTCOMES = Step("outcomes", _spark("build_outcomes"), heading="read what happened in windows that have passed")
"""Started by the backtest."""

INTERESTS = (
    Step("texts", _spark("build_interests", "texts", "--ds", "{ds}"), heading="list every distinct event text"),
    Step(
        "clusters",
        ("python", "-m", "model.lurm.cluster", "fit", "--clusters", "{clusters}"),
        after=("texts",),
        heading="cluster the texts into interests",
    ),
    Step(
        "bags",
        _spark("build_interests", "bags", "--ds", "{ds}", "--period-days", "{period_days}"),
        after=("clusters",),
        heading="count each user's interests by period, over the full life",
    ),
    Step("encoder", ("python", "-m", "model.lurm.train", "--ds", "{ds}"), after=("bags",), heading="train the anchors"),
    Step(
        "anchors",
        ("python", "-m", "model.lurm.embed", "--ds", "{ds}"),
        after=("encoder",),
        heading="several vectors per user",
    ),
)
"""LURM beside FOUND's own vectors; a later ds assigns its new texts (`cluster assign`) and skips `encoder`."""
