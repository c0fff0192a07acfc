"""What the report of all lakes shows and says."""

from collections.abc import Sequence

from model.evaluation.report import Comparison, Method, Plan
from model.evaluation.suite.families import (
    ALL_SUFFIX,
    FEW_SUFFIX,
    FOUND,
    PROBE_SUFFIX,
    Family,
)

DECIDED = ("accuracy", "precision", "recall")
PREFACE = (
    "Who is ranked best by one sentence? Every method is fitted on the same pairs of history and future, which end by "
    "the scenario's cut-off, and scores the same candidates; no method sees a label of the eval split. Means over "
    "seeds ± standard deviation; intervals are 95 % of 200 resamples of the candidates, the same for every method.",
    "A learned baseline counts only where it is above chance and above the same network with random weights; "
    "otherwise its row says so. docs/baselines.md tells what each takes from its paper.",
)


def plan(families: Sequence[Family], lakes: Sequence[str]) -> Plan:
    """The tables of these families on these lakes."""
    rows = [row for family in families for row in family.rows if row.shown]
    methods = tuple(Method(row.name, row.title, row.group, row.twin) for row in rows)
    named = {method.name for method in methods}
    comparisons = (
        Comparison("zero-shot over ARALLM", FOUND, "arallm", DECIDED, "+10, +15, +10 points"),
        Comparison("few-shot over U-MLP One4all", FOUND + FEW_SUFFIX, "u_mlp" + FEW_SUFFIX, DECIDED, "+5, +8, +5"),
        Comparison(
            "linear probe over CPC alone", FOUND + PROBE_SUFFIX, "cpc" + PROBE_SUFFIX, ("auc", "ks"), "+2 to +4"
        ),
        Comparison("linear probe over MSDP", FOUND + PROBE_SUFFIX, "msdp" + PROBE_SUFFIX, ("auc", "ks"), "+2 to +4"),
        Comparison("zero-shot over concatenation", FOUND, "concatenation", ("auc", "specificity"), "+1"),
        Comparison("zero-shot over the heuristic", FOUND, "heuristic", ("auc", "specificity")),
        Comparison("zero-shot over 5 nearest texts", FOUND, "nearest_texts", ("auc", "specificity")),
        Comparison(
            "zero-shot over boosting with labels", FOUND, "gradient_boosting" + ALL_SUFFIX, ("auc", "specificity")
        ),
    )
    drawn = tuple(n for n in (FOUND, "heuristic", "nearest_texts", "frequency", "cpc", "arallm") if n in named)
    return Plan(
        title="Results",
        preface=PREFACE,
        lakes=tuple(lakes),
        methods=methods,
        ours=FOUND,
        drawn=drawn,
        comparisons=tuple(c for c in comparisons if {c.one, c.other} <= named),
    )
