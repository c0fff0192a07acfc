"""Results of made-up methods, computed by the real measures from made-up scores of known worth."""

from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np

from model.evaluation.bootstrap import Measured
from model.evaluation.measures import Candidates, ScenarioMeasures, mean_over, measure
from model.evaluation.report import Comparison, Method, Plan
from model.evaluation.results import Fingerprint, Result, Wanted, digest

LAKES = ("shop", "films")
SCENARIOS = {"shop": ("buys gifts", "buys tea", "will stop buying"), "films": ("rates a comedy", "rates horror")}
WORTH = {
    "found": 1.4,
    "heuristic": 1.1,
    "recency": 0.6,
    "msdp": 0.9,
    "msdp-random": 0.5,
    "umlp": 0.02,
    "umlp-random": 0.0,
}
"""How far apart both kinds of user lie, in standard deviations of the score."""
GIVES_PROBABILITIES = ("found", "msdp")

PLAN = Plan(
    title="Results",
    preface=("Made-up methods on made-up lakes.",),
    lakes=LAKES,
    methods=(
        Method("found", "FOUND", "zero-shot"),
        Method("heuristic", "Training-free heuristic", "zero-shot"),
        Method("recency", "Recency", "zero-shot"),
        Method("msdp", "MSDP", "zero-shot", twin="msdp-random"),
        Method("umlp", "U-MLP One4all", "zero-shot", twin="umlp-random"),
        Method("arallm", "ARALLM (fine-tuned LM)", "zero-shot"),
        Method("boosting", "Gradient boosting", "with the fit labels"),
    ),
    ours="found",
    drawn=("found", "heuristic", "recency", "msdp"),
    comparisons=(Comparison("zero-shot over recency", "found", "recency", ("accuracy", "precision", "recall"), "+10"),),
    remarks=("A remark about <the> whole.",),
)


def fingerprint(method: str, lake: str) -> Fingerprint:
    return Fingerprint(data=digest(lake), code=digest(method), recipe=digest({}))


def wanted(method: str, lake: str, seed: int = 0) -> Wanted:
    return Wanted(method, lake, seed, fingerprint(method, lake))


@cache
def candidates(lake: str, scenario: str, users: int = 400) -> tuple[Candidates, "np.ndarray"]:
    """Eval users, a fifth of whom acts, and a noise that all methods share: they err on the same users."""
    rng = np.random.default_rng([len(lake), *scenario.encode()])
    labels = {f"u{i:04d}": int(rng.random() < 0.2) for i in range(users)}
    return Candidates.of(f"{lake}/{scenario}", labels, fit_rate=0.21), rng.normal(size=users)


@cache
def scenario_measures(method: str, lake: str, scenario: str, seed: int, replicates: int = 50) -> ScenarioMeasures:
    given, shared = candidates(lake, scenario)
    own = np.random.default_rng([seed, *method.encode(), *scenario.encode()]).normal(size=len(shared))
    score = WORTH[method] * given.label_N + 0.9 * shared + 0.4 * own
    scores = dict(zip(given.users, score.tolist(), strict=True))
    chances = {user: 1 / (1 + np.exp(2.1 - value)) for user, value in scores.items()}
    return measure(given, scores, chances if method in GIVES_PROBABILITIES else None, replicates=replicates)


def result(method: str, lake: str, seed: int = 0) -> Result:
    """One method, lake and seed, with a specificity."""
    scenarios = {name: scenario_measures(method, lake, name, seed) for name in SCENARIOS[lake]}
    specificity = Measured(0.6 + WORTH[method] / 10, np.linspace(0.55, 0.65, 50) + WORTH[method] / 10)
    return Result(
        wanted(method, lake, seed),
        wall_seconds=3.25 + seed,
        scenarios=scenarios,
        overall=mean_over(scenarios) | {"specificity": specificity},
    )


def results(seeds: Mapping[str, Iterable[int]] | None = None) -> list[Result]:
    """All methods on both lakes; FOUND with three seeds; ARALLM absent."""
    given = {"found": (0, 1, 2)} | dict(seeds or {})
    found = [result(m, lake, seed) for m in WORTH for lake in LAKES for seed in given.get(m, (0,))]
    why = "no causal language model at hand (set FOUND_LANGUAGE_MODEL)"
    return found + [Result(wanted("arallm", lake), absent=why) for lake in LAKES]
