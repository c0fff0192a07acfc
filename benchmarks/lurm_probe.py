"""What LURM's anchors hold of a user, on a lake with labels: linear probes, and sentences answered without labels.

    scripts/in_env python benchmarks/lurm_probe.py LAKE WORKDIR [--clusters 4000] [--seeds 3] > report.md

For the scenarios of the newest cut-off: every representation is made of what is known before it. A probe is a logistic
regression on the fit split, its strength chosen by cross-validation there; AUC on the eval split.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from feature_repo.contracts.names import Workdir
from feature_repo.contracts.settings import read_settings
from feature_repo.contracts.steps import INTERESTS, SPARK_CONF_DIR
from model.evaluation.metrics import auc, specificity
from model.evaluation.scenarios import Scenario, read_labels, read_scenarios
from model.lurm.bags import Bags, open_bags
from model.lurm.cluster import current_interests
from model.lurm.encoder import MultiAnchorEncoder, Shape, best_anchor
from model.lurm.interests import Interests
from model.lurm.train import train_encoder
from model.recipes import recipe
from model.text_encoder import TextEncoder

STRENGTHS = 10.0 ** np.arange(-2, 4)
Labels = Mapping[str, Mapping[str, int]]


def build(lake: Path, work: Workdir, ds: date, *, clusters: int, period_days: int) -> None:
    """Runs the steps of LURM before the encoder."""
    values = {"ds": ds.isoformat(), "clusters": str(clusters), "period_days": str(period_days)}
    paths = {"FOUND_LAKE": lake.absolute(), "FOUND_WORKDIR": work.root, "SPARK_CONF_DIR": SPARK_CONF_DIR}
    environment = os.environ | {name: str(path) for name, path in paths.items()}
    for step in INTERESTS:
        if step.name in ("texts", "clusters", "bags"):
            subprocess.run(step.argv(values), env=environment, check=True, stdout=sys.stderr)


def raw_bag(bags: Bags, interests: int) -> Any:
    """Sparse [U, K]: the weighted bag of the whole life."""
    life = bags.whole_life()
    return csr_matrix((life.weights(), (life.user_N, life.interest_N)), shape=(len(bags), interests))


@torch.no_grad()
def anchors(encoder: MultiAnchorEncoder, bags: Bags) -> Any:
    """Sparse [U, M D], rows of norm 1 on average, so that the strengths of probes mean the same for all."""
    vectors = encoder(bags).flatten(1).numpy()
    return csr_matrix(vectors / np.linalg.norm(vectors, axis=1).mean())


def probe(features: Any, places: Mapping[str, int], fit: Mapping[str, int], asked: Mapping[str, int]) -> float:
    """The AUC on `asked` of a probe fitted on `fit`; a user without a bag is a row of zeros, the last one."""
    own, others = ([places.get(user, len(places)) for user in users] for users in (fit, asked))
    label = np.array(list(fit.values()))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)

    def logistic(strength: float) -> LogisticRegression:
        return LogisticRegression(C=strength, max_iter=5_000)

    chosen = max(
        STRENGTHS, key=lambda c: cross_val_score(logistic(c), features[own], label, cv=folds, scoring="roc_auc").mean()
    )
    score = logistic(chosen).fit(features[own], label).decision_function(features[others])
    return auc(np.array(list(asked.values())), score)


def padded(features: Any) -> Any:
    """With one more row of zeros."""
    return csr_matrix((features.data, features.indices, np.append(features.indptr, features.indptr[-1])),
                      shape=(features.shape[0] + 1, features.shape[1]))  # fmt: skip


def probes(features: Any, bags: Bags, fit: Labels, asked: Labels) -> float:
    """The mean over the scenarios."""
    places, rows = {user: i for i, user in enumerate(bags.users)}, padded(features)
    return float(np.mean([probe(rows, places, fit[s], asked[s]) for s in asked]))


@torch.no_grad()
def zero_shot(
    encoder: MultiAnchorEncoder, bags: Bags, interests: Interests, query: torch.Tensor, asked: Labels
) -> tuple[float, float]:
    """Mean AUC and specificity of the best anchor's answer to each scenario's sentence."""
    scored = best_anchor(encoder.in_text_space(bags, interests), query).numpy()
    places = {user: i for i, user in enumerate(bags.users)}
    worst = scored.min(0)
    scores = {
        s: {u: float(scored[places[u], c] if u in places else worst[c]) for u in asked[s]} for c, s in enumerate(asked)
    }
    aucs = [auc(np.array(list(asked[s].values())), np.array(list(scores[s].values()))) for s in asked]
    return float(np.mean(aucs)), specificity(scores, asked)[0]


def newest(scenarios: list[Scenario]) -> list[Scenario]:
    return [s for s in scenarios if s.cutoff == max(s.cutoff for s in scenarios)]


def report(lake: Path, work: Workdir, *, seeds: int) -> None:
    scenarios = newest(read_scenarios(lake / "scenarios" / "scenarios.yaml"))
    split = {name: read_labels(lake / "scenarios" / "labels.parquet", name) for name in ("fit", "eval")}
    fit, asked = ({s.id: split[name][s.id] for s in scenarios} for name in ("fit", "eval"))
    interests = Interests.load(current_interests(work))
    bags = open_bags(work.interest_bags(scenarios[0].cutoff), interests=interests.version).read()
    settings = read_settings(os.environ, Path.cwd())
    used = recipe(settings.recipe, encoder=settings.encoder)
    encoded = TextEncoder(used.encoder, max_tokens=used.max_tokens).encode([s.demand for s in scenarios])
    query = interests.centred(encoded)
    raw = raw_bag(bags, len(interests))
    print(f"{lake.name}: {len(bags)} users, {len(interests)} interests, {len(scenarios)} scenarios\n")
    print("| representation | width | probe AUC | best anchor: AUC | specificity |\n| --- | --- | --- | --- | --- |")
    print(f"| raw bag | {len(interests)} | {probes(raw, bags, fit, asked):.3f} | | |", flush=True)
    for shape in (Shape(1, 32), Shape(1, 256), Shape(8, 32), Shape(16, 32)):
        rows = []
        for seed in range(seeds):
            encoder = MultiAnchorEncoder.untrained(shape, interests, seed=seed)
            untrained = probes(anchors(encoder, bags), bags, fit, asked)
            train_encoder(encoder, bags, seed=seed)
            rows.append((untrained, probes(anchors(encoder, bags), bags, fit, asked),
                         *zero_shot(encoder, bags, interests, query, asked)))  # fmt: skip
        untrained, *means = np.mean(rows, 0)
        spread = np.std(rows, 0)[1]
        print(f"| {shape.anchors} x {shape.width} | {shape.anchors * shape.width} | {means[0]:.3f} (sd {spread:.3f}; "
              f"untrained {untrained:.3f}) | {means[1]:.3f} | {means[2]:.3f} |", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake", type=Path)
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--clusters", type=int, default=4_000)
    parser.add_argument("--period-days", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    work = Workdir(given.workdir.absolute())
    cutoff = newest(read_scenarios(given.lake / "scenarios" / "scenarios.yaml"))[0].cutoff
    build(given.lake, work, cutoff, clusters=given.clusters, period_days=given.period_days)
    report(given.lake, work, seeds=given.seeds)


if __name__ == "__main__":
    main()
