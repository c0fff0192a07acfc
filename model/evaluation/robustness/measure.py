"""How a method answers the same demand in other words, demands with conditions, and demands that nobody meets.

Shape suffixes: B users, C sentences.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from model.evaluation.metrics import auc, specificity
from model.evaluation.ranking import agreement, spearman
from model.evaluation.robustness.demands import OTHER_LANGUAGES, Columns, Conditioned, strange_things
from model.evaluation.robustness.paraphrases import BY_RULES, BY_THE_LAKE, paraphrases
from model.evaluation.scenarios import Scenario
from model.evaluation.thresholds import shared_size, violation_share
from model.rewriting.document import Rewritten
from model.rewriting.rules import Rules

Ask = Callable[[Sequence[str]], "np.ndarray"]
"""float [B, C]: the scores of all candidates for these sentences."""
Labels = Mapping[str, Mapping[str, int]]

NOBODY = 1e9
"""How far below the others the score of a user lies whom a rule excludes."""


def in_other_words(
    ask: Ask, scenarios: Sequence[Scenario], users: Sequence[str], labels: Labels, own: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Per scenario how alike its paraphrases rank the candidates (mean Spearman of pairs), how alike each ranks them to
    the demand itself, and each one's AUC; over all scenarios the specificity of the demands and of their paraphrases,
    and for comparison how alike DIFFERENT demands rank: a method that ignores the sentence ranks all of them alike.
    `own` are paraphrases that the lake brings."""
    found: dict[str, Any] = {}
    by_demand_BC = ask([scenario.demand for scenario in scenarios])
    said: dict[str, np.ndarray] = {}
    for place, scenario in enumerate(scenarios):
        sentences = list(own.get(scenario.id) or paraphrases(scenario.demand))
        said[scenario.id] = score_BC = ask(sentences)
        label_N, rows = _labelled(labels[scenario.id], users)
        found[scenario.id] = {
            "source": BY_THE_LAKE if scenario.id in own else BY_RULES,
            "sentences": sentences,
            "agreement": _number(agreement(score_BC.T)),
            "with_demand": [_number(spearman(by_demand_BC[:, place], each_B)) for each_B in score_BC.T],
            "auc_demand": _number(auc(label_N, by_demand_BC[rows, place])),
            "auc": [_number(auc(label_N, each_B[rows])) for each_B in score_BC.T],
        }
    least = min(score_BC.shape[1] for score_BC in said.values())
    again = [_specificity({name: each_BC[:, k] for name, each_BC in said.items()}, users, labels) for k in range(least)]
    asked = {scenario.id: by_demand_BC[:, place] for place, scenario in enumerate(scenarios)}
    return {
        "scenarios": found,
        "agreement": _mean([one["agreement"] for one in found.values()]),
        "different_demands": _number(agreement(by_demand_BC.T)),
        "specificity": _specificity(asked, users, labels),
        "specificity_paraphrased": _mean(again),
    }


def under_conditions(
    ask: Ask,
    asked: Mapping[str, Sequence[Conditioned]],
    users: Sequence[str],
    columns: Columns,
    labels: Labels,
    rates: Mapping[str, float],
    rules: Rules,
    rewrite: Callable[[str], Rewritten],
) -> list[dict[str, Any]]:
    """Of each scenario's demands with a condition the share of its audience (as large as the fit split's base rate)
    that breaks the condition, without rules and with what rewriting looks up in the histories; and the AUC for those
    who do it AND meet the condition. With rules an audience is never filled up with excluded users."""
    found = []
    for scenario, demands in asked.items():
        score_BC = ask([one.sentence for one in demands])
        label_N, rows = _labelled(labels[scenario], users)
        size = int(shared_size(rates[scenario], len(rows)))
        for one, score_B in zip(demands, score_BC.T, strict=True):
            decided = rules.decide(rewrite(one.sentence), columns)
            keep_N, breaks_N, score_N = decided.keep_B[rows], one.breaks_B[rows], score_B[rows]
            wanted_N = label_N * ~breaks_N
            ruled_N = score_N - NOBODY * ~keep_N
            found.append(
                {
                    "scenario": scenario,
                    "sentence": one.sentence,
                    "kind": one.kind,
                    "phrasings": one.phrasings,
                    "size": size,
                    "kept": int(keep_N.sum()),
                    "rules": len(decided.rules),
                    "guessed": len(decided.guessed),
                    "without": violation_share(breaks_N, score_N, size),
                    "with": violation_share(breaks_N, ruled_N, min(size, int(keep_N.sum()))) if keep_N.any() else 0.0,
                    "auc_without": _number(auc(wanted_N, score_N)),
                    "auc_with": _number(auc(wanted_N, ruled_N)),
                }
            )
    return found


def of_nobody(
    ask: Ask,
    scenarios: Sequence[Scenario],
    texts: Sequence[str],
    rewrite: Callable[[str], Rewritten],
) -> list[dict[str, Any]]:
    """What a method of log odds answers to demands that nobody meets and to languages that it was not made for, and
    what rewriting says of them; beside the lake's own demands."""
    asked = [("demand", scenario.id, scenario.demand) for scenario in scenarios]
    asked += [("unknown thing", thing, f"Customers who will buy {thing}") for thing in strange_things(texts)]
    asked += [("language", name, sentence) for name, sentence in OTHER_LANGUAGES.items()]
    chance_BC = 1 / (1 + np.exp(-np.clip(ask([sentence for _, _, sentence in asked]), -500, 500)))
    found = []
    for (kind, name, sentence), chance_B in zip(asked, chance_BC.T, strict=True):
        rewritten = rewrite(sentence)
        found.append(
            {
                "kind": kind,
                "name": name,
                "sentence": sentence,
                "probability": float(chance_B.mean()),
                "highest": float(chance_B.max()),
                "size": float(chance_B.sum()),
                "users": len(chance_B),
                "near_texts": len(rewritten.sentences),
                "reason": rewritten.reason,
            }
        )
    return found


def _labelled(labels: Mapping[str, int], users: Sequence[str]) -> tuple["np.ndarray", list[int]]:
    """The labels of the users that have one, and their rows."""
    rows = [row for row, user in enumerate(users) if user in labels]
    return np.array([labels[users[row]] for row in rows]), rows


def _specificity(scores: Mapping[str, "np.ndarray"], users: Sequence[str], labels: Labels) -> float | None:
    given = {name: dict(zip(users, score_B.tolist(), strict=True)) for name, score_B in scores.items()}
    return _number(specificity(given, labels)[0])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
