"""What the report of all lakes shows and says."""

from collections.abc import Sequence

from feature_repo.contracts.events import SOURCES
from model.evaluation.report import Comparison, Method, Plan, Study
from model.evaluation.suite.ablations import ABLATIONS, BEHAVIOUR, CONCATENATION, PAST, PREFIX
from model.evaluation.suite.families import ALL_SUFFIX, FEW_SUFFIX, FOUND, PROBE_SUFFIX, Family, Row
from model.evaluation.suite.transfer import TRANSFER, rows_among

DECIDED = ("accuracy", "precision", "recall")
PREFACE = (
    "Who is ranked best by one sentence? Every method is fitted on the same pairs of history and future, which end by "
    "the scenario's cut-off, and scores the same candidates; no method sees a label of the eval split. Means over "
    "seeds ± standard deviation; intervals are 95 % of 200 resamples of the candidates, the same for every method.",
    "A learned baseline counts only where it is above chance and above the same network with random weights; "
    "otherwise its row says so. docs/baselines.md tells what each takes from its paper.",
)


NEAREST = "nearest_texts"
PROBED, ZERO = ("auc", "ks"), ("auc", "specificity")
DECIDED_AND_AUC = ("auc", *DECIDED)


def _probe_over(title: str, other: str, paper: str) -> Comparison:
    return Comparison(f"linear probe over {title}", FOUND + PROBE_SUFFIX, other + PROBE_SUFFIX, PROBED, paper)


def _over_ablation(title: str, name: str, paper: str) -> Comparison:
    return Comparison(f"zero-shot over itself {title}", FOUND, name, DECIDED_AND_AUC, paper)


COMPARISONS = (
    Comparison("zero-shot over ARALLM", FOUND, "arallm", DECIDED, "+10, +15, +10 points"),
    Comparison("few-shot over U-MLP One4all", FOUND + FEW_SUFFIX, "u_mlp" + FEW_SUFFIX, DECIDED, "+5, +8, +5"),
    _probe_over("One4all, one source", "one4all", "+4 / +2"),
    _probe_over("MSDP, one source", "msdp", "+4 / +2"),
    _probe_over("CPC alone, one source", "cpc", "+2 to +4"),
    _probe_over("TabTransformer, one source", "tab_transformer", "+12 / +13"),
    _probe_over("text LM on searches, one source", "text_lm_searches", "+11 / +10"),
    _probe_over("concatenation", "concatenation", "+3 / +3"),
    Comparison("zero-shot over concatenation", FOUND, "concatenation", ZERO, "+1"),
    _over_ablation("with fusion by concatenation", CONCATENATION, "accuracy, precision, recall: +1, +2, +1"),
    _over_ablation("without any behaviour", BEHAVIOUR, "accuracy, precision, recall: +6, +8, +6"),
    *(_over_ablation(f"without {source}", PREFIX + source, "positive") for source in SOURCES),
    _over_ablation("with past text", PAST, "positive"),
    Comparison("zero-shot over the heuristic", FOUND, "heuristic", ZERO),
    Comparison("zero-shot over 5 nearest texts", FOUND, NEAREST, ZERO),
    Comparison("zero-shot over boosting with labels", FOUND, "gradient_boosting" + ALL_SUFFIX, ZERO),
)
SOURCES_NOTE = "What each source, each part of the model and each choice of training is worth."
TRANSFER_NOTE = (
    "Both stages on other lakes, whose pairs end by their own scenarios' cut-offs; nothing of this lake is trained on."
)


def plan(families: Sequence[Family], lakes: Sequence[str], computed: Sequence[str] = ()) -> Plan:
    """The tables of these families on these lakes. `computed` are names of results: which lakes a transfer was trained
    on is found there."""
    every = [row for family in families for row in family.rows if row.shown and row.group != TRANSFER]
    methods = tuple(map(_method, (row for row in every if row.group != ABLATIONS)))
    studies = (
        Study("Ablations", SOURCES_NOTE, tuple(_method(row) for row in every if row.group == ABLATIONS), (FOUND,)),
        Study("Transfer", TRANSFER_NOTE, tuple(map(_method, rows_among(computed))), (FOUND, NEAREST)),
    )
    named = {row.name for row in every}
    drawn = tuple(n for n in (FOUND, "heuristic", NEAREST, "frequency", "cpc", "arallm") if n in named)
    return Plan(
        title="Results",
        preface=PREFACE,
        lakes=tuple(lakes),
        methods=methods,
        ours=FOUND,
        drawn=drawn,
        comparisons=tuple(c for c in COMPARISONS if {c.one, c.other} <= named),
        studies=tuple(study for study in studies if study.methods and set(study.against) <= named),
    )


def _method(row: Row) -> Method:
    return Method(row.name, row.title, row.group, row.twin)
