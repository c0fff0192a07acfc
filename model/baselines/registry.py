"""All baselines in the order of the table; docs/baselines.md says what each takes from its source."""

from functools import partial

from feature_repo.contracts.errors import FoundError
from model.baselines import (
    activity,
    arallm,
    boosting,
    coles,
    concatenation,
    cpc,
    heuristic,
    lurm,
    msdp,
    nearest_texts,
    one4all,
    tab_transformer,
    text_lm,
)
from model.baselines.head import behind
from model.baselines.protocol import LOG_ODDS, Method
from model.rewriting.language_model import LanguageModel

YARDSTICK = "a yardstick of this project"
TABLE_3, TABLE_4 = "FOUND, table 3", "FOUND, table 4"
ABOVE_CHANCE = "mean AUC above 0.5"
BEATS_TWIN = "mean AUC above 0.5 and above the same network at random weights"

METHODS: tuple[Method, ...] = (
    Method("recency", "recency", YARDSTICK, ABOVE_CHANCE, activity.fit_recency, learns=False),
    Method("frequency", "frequency", YARDSTICK, ABOVE_CHANCE, activity.fit_frequency, learns=False),
    Method("nearest_texts", "5 nearest history texts", YARDSTICK, ABOVE_CHANCE, nearest_texts.fit, learns=False),
    Method("heuristic", "training-free heuristic", YARDSTICK, ABOVE_CHANCE, heuristic.fit, learns=False),
    Method(
        "gradient_boosting",
        "gradient boosting with the fit labels",
        "Friedman 2001, in scikit-learn's histogram form",
        ABOVE_CHANCE,
        boosting.fit,
        LOG_ODDS,
        needs_seeds=True,
        learns=False,
    ),
    Method("text_lm_searches", "text LM, searches", TABLE_4, BEATS_TWIN, text_lm.fit_searches, LOG_ODDS),
    Method("text_lm_history", "text LM, rendered history", TABLE_4, BEATS_TWIN, text_lm.fit_history, LOG_ODDS),
    Method("lurm", "LURM", "Yang et al. 2021", BEATS_TWIN, behind(lurm.pretrained), LOG_ODDS),
    Method(
        "cpc",
        "CPC alone",
        "van den Oord et al. 2018; FOUND, equations 6 and 7",
        BEATS_TWIN,
        behind(cpc.pretrained),
        LOG_ODDS,
    ),
    Method(
        "concatenation", "concatenation of sources", TABLE_4, BEATS_TWIN, behind(concatenation.pretrained), LOG_ODDS
    ),
    Method(
        "tab_transformer",
        "TabTransformer, MLM and RTD",
        f"Huang et al. 2020; {TABLE_4}",
        BEATS_TWIN,
        behind(tab_transformer.pretrained),
        LOG_ODDS,
    ),
    Method("one4all", "One4all", f"Shin et al. 2021; {TABLE_4}", BEATS_TWIN, behind(one4all.pretrained), LOG_ODDS),
    Method(
        "u_mlp",
        "U-MLP One4all",
        f"Shin et al. 2021; {TABLE_3}",
        BEATS_TWIN,
        one4all.fit_u_mlp,
        LOG_ODDS,
        needs_seeds=True,
    ),
    Method("msdp", "MSDP", f"Fu et al. 2023; {TABLE_4}", BEATS_TWIN, behind(msdp.pretrained), LOG_ODDS),
    Method("coles", "CoLES", "Babaev et al. 2022", BEATS_TWIN, behind(coles.pretrained), LOG_ODDS),
    Method("arallm", "ARALLM, grammar and retrieval", "Wang et al. 2024", ABOVE_CHANCE, arallm.fit, learns=False),
)


def method(name: str) -> Method:
    """The baseline of that name."""
    for known in METHODS:
        if known.name == name:
            return known
    raise FoundError(f"unknown baseline {name!r}; baselines are {[known.name for known in METHODS]}.")


def arallm_with(language_model: LanguageModel, *, name: str, title: str) -> Method:
    """ARALLM with a causal language model, plain or fine-tuned: a row only where one is at hand."""
    fitted = partial(arallm.fit, language_model=language_model)
    return Method(name, title, "Wang et al. 2024", ABOVE_CHANCE, fitted, learns=False)
