"""The sections of a report that are no table of methods: the lakes themselves, and how answers hold when the sentence
changes. From the notes of each lake (model/evaluation/suite/notes.py)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from model.evaluation.report.sections import Section
from model.evaluation.report.tables import NONE, Cell, Table

Notes = Mapping[str, Mapping[str, Any]]
"""{lake: {name: document}}"""
ROBUSTNESS, SIZES = "robustness-", "sizes-"
NEAR = 1.5
"""A size is near that is off by at most this factor."""

SIZES_NOTE = (
    "From the sentence alone, without any label of the scenario: how many of the eval users were expected to act, and "
    "did. By chance: the expected calibration error that the same probabilities would measure if they were right; so "
    "few users make that much of it.",
)
WORDS = (
    "Other words: five paraphrases of each demand, by rules of English alone or the lake's own (`paraphrases` of "
    "scenarios.yaml). Agreement is the mean Spearman of their rankings, in pairs; a method that ignores the sentence "
    "has 1, so the same between different demands stands beside it, and the specificity of the paraphrases.",
    "Conditions: a demand of the lake and a condition about the past on one of its topics. The share of the audience "
    "(as large as the fit split's base rate says) that breaks it, by the sentence alone and with the rules that "
    "rewriting looks up in the histories; AUC for those who do it and meet the condition.",
    "Demands that nobody meets: things of which the lake has no word, and other languages than the encoder's; the mean "
    "probability and what it adds up to, the number of near texts that rewriting found, and what it says.",
)


def noted(notes: Notes, lakes: Sequence[str]) -> list[Section]:
    """The sections of these lakes; none where there is no note."""
    known = {lake: notes[lake] for lake in lakes if lake in notes}
    robust = [table for table in (_words(known), _conditions(known), _nobody(known)) if table.rows]
    found = []
    if (table := _lakes(known)).rows:
        found.append(Section("The lakes", tuple(_warnings(known)), (table, _scenarios(known))))
    if (table := _sizes(known)).rows:
        found.append(Section("How many will", SIZES_NOTE, (table,)))
    if robust:
        found.append(Section("When the sentence changes", WORDS, tuple(robust)))
    return found


def _lakes(known: Notes) -> Table:
    rows = [
        (Cell(lake), *map(Cell, _facts(run)))
        for lake, documents in known.items()
        for run in documents.get("statistics", {}).get("runs", {}).values()
    ]
    return Table(
        "Table 1",
        "As of the scenarios' cut-off: events are those in histories, by source with the users that have any; pairs "
        "and distinct texts are what was trained on.",
        ("lake", "cut-off", "horizon", "users", "events", "mean history", "profile columns", "pairs", "texts"),
        tuple(rows),
    )


def _facts(run: Mapping[str, Any]) -> Iterator[str]:
    yield run["cutoff"]
    yield f"{run['windows']['horizon_days']} days"
    yield f"{run['users']:,}"
    sources = [f"{n:,} {source} of {run['users_with'][source]:,}" for source, n in run["events"].items() if n]
    yield ", ".join(sources) or NONE
    yield f"{run['history']['mean']:.1f} (median {run['history']['median']:.0f})"
    yield f"{run['profile']['categorical']} categorical, {run['profile']['numeric']} numeric"
    yield f"{run['pairs']:,} at {run['cutoffs']} cut-offs"
    yield f"{run['texts']:,}"


def _scenarios(known: Notes) -> Table:
    rows = []
    for lake, documents in known.items():
        scenarios = documents.get("statistics", {}).get("scenarios", {})
        rates = ", ".join(f"{name} {found['base_rate']:.3f}" for name, found in scenarios.items())
        sizes = [found["users"] for found in scenarios.values()]
        if sizes:
            rows.append((Cell(lake), Cell(str(len(sizes))), Cell(_span(sizes)), Cell(rates)))
    return Table(
        "Scenarios",
        "Labelled users of both splits, and the share that acts.",
        ("lake", "scenarios", "users", "base rates"),
        tuple(rows),
    )


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _warnings(known: Notes) -> Iterator[str]:
    """Columns that give a label away, and what a table without any says."""
    looked = [lake for lake, documents in known.items() if "leaks" in documents]
    quiet = True
    for lake in looked:
        for scenario, columns in known[lake]["leaks"]["scenarios"].items():
            for column in columns:
                quiet = False
                yield (
                    f"WARNING: a leak is likely in {lake}: {column['column']!r} alone ranks the eval labels of "
                    f"{scenario} with an AUC of {column['auc']:.3f}. No figure of that scenario means anything until "
                    "it is explained."
                )
    if looked and quiet:
        yield "No single input column gives a label of the eval split away (AUC of 0.99 or more, or 0.01 or less)."


def _sizes(known: Notes) -> Table:
    rows = []
    for lake, documents in known.items():
        seeds = [document["scenarios"] for name, document in documents.items() if name.startswith(SIZES)]
        told = [scenario for scenarios in seeds for scenario in scenarios.values() if scenario["true"]]
        if told:
            off = [max(one["size"] / one["true"], one["true"] / max(one["size"], 1e-9)) for one in told]
            held = sum(one["low"] <= one["true"] <= one["high"] for one in told)
            shown = (str(len(seeds)), f"{np.median(off):.2f}", _of(sum(o <= NEAR for o in off), told), _of(held, told))
            errors = (_figure([one["ece"] for one in told]), _figure([one["ece_by_chance"] for one in told]))
            rows.append((Cell(lake), *map(Cell, (*shown, *errors))))
    return Table(
        "Sizes",
        f"Off by: the factor in the median scenario; near: off by at most {NEAR}. The interval is meant to hold 80 %.",
        ("lake", "seeds", "off by", "near", "interval holds", "ECE", "by chance"),
        tuple(rows),
    )


def _of(count: int, every: Sequence[Any]) -> str:
    return f"{count} of {len(every)} ({count / len(every):.0%})"


def _places(known: Notes) -> Iterator[tuple[str, str, list[Any]]]:
    """Lake, method and what was measured in each place and with each seed."""
    for lake, documents in known.items():
        by_method: dict[str, list[Any]] = {}
        for name, document in documents.items():
            if name.startswith(ROBUSTNESS):
                by_method.setdefault(name.removeprefix(ROBUSTNESS).rpartition("-")[0], []).extend(document["places"])
        for method, places in by_method.items():
            yield lake, method, places


def _words(known: Notes) -> Table:
    rows = [(Cell(lake), Cell(method), *map(Cell, _alike(places))) for lake, method, places in _places(known)]
    return Table(
        "In other words",
        "Means over scenarios and seeds. Lowest: of one paraphrase with the demand itself.",
        (
            "lake",
            "method",
            "agreement",
            "lowest",
            "different demands",
            "AUC of the demand",
            "of its paraphrases",
            "spread",
            "specificity",
            "of the paraphrases",
            "paraphrases by",
        ),
        tuple(rows),
    )


def _alike(places: Sequence[Any]) -> Iterator[str]:
    words = [place["words"] for place in places]
    scenarios = [scenario for each in words for scenario in each["scenarios"].values()]
    yield _figure([scenario["agreement"] for scenario in scenarios])
    lowest = [value for scenario in scenarios for value in scenario["with_demand"] if value is not None]
    yield _figure(sorted(lowest)[:1])
    yield _figure([each["different_demands"] for each in words])
    yield _figure([scenario["auc_demand"] for scenario in scenarios])
    yield _figure([value for scenario in scenarios for value in scenario["auc"]])
    yield _figure([max(known) - min(known) for s in scenarios if (known := [v for v in s["auc"] if v is not None])])
    yield _over_pairs(words, "specificity")
    yield _over_pairs(words, "specificity_paraphrased")
    yield ", ".join(sorted({scenario["source"] for scenario in scenarios}))


def _over_pairs(words: Sequence[Any], name: str) -> str:
    """A mean over pairs of scenarios: each cut-off counts by its pairs."""
    known = [(each[name], len(each["scenarios"])) for each in words if each[name] is not None]
    pairs = sum(scenarios * (scenarios - 1) for _, scenarios in known)
    return _figure([sum(value * n * (n - 1) for value, n in known) / pairs] if pairs else [])


def _conditions(known: Notes) -> Table:
    rows = []
    for lake, method, places in _places(known):
        asked = [one for place in places for one in place.get("conditions", [])]
        for phrasings in dict.fromkeys(one["phrasings"] for one in asked):
            for kind in dict.fromkeys(one["kind"] for one in asked):
                these = [one for one in asked if (one["phrasings"], one["kind"]) == (phrasings, kind)]
                if these:
                    rows.append((Cell(lake), Cell(method), Cell(phrasings), Cell(kind), *map(Cell, _broken(these))))
    return Table(
        "Under conditions",
        "Share of the audience that breaks the condition. Read: the demands of which rewriting made a rule on "
        "words that the lake has. Empty: the audiences of which the rules left nobody.",
        (
            "lake",
            "method",
            "phrased by",
            "condition",
            "demands",
            "read",
            "empty",
            "breaks it",
            "with rules",
            "AUC",
            "AUC with rules",
        ),
        tuple(rows),
    )


def _broken(these: Sequence[Any]) -> Iterator[str]:
    yield str(len(these))
    yield str(sum(one["rules"] > 0 and not one["guessed"] for one in these))
    yield str(sum(not one["kept"] for one in these))
    yield _percent([one["without"] for one in these])
    yield _percent([one["with"] for one in these if one["kept"]])
    yield _figure([one["auc_without"] for one in these])
    yield _figure([one["auc_with"] for one in these])


def _nobody(known: Notes) -> Table:
    rows = []
    for lake, method, places in _places(known):
        asked = [one for place in places for one in place.get("nobody", [])]
        for key in dict.fromkeys((one["kind"], one["sentence"]) for one in asked):
            these = [one for one in asked if (one["kind"], one["sentence"]) == key]
            texts = [str(these[0]["near_texts"]), these[0]["reason"] or NONE]
            size = f"{np.mean([one['size'] for one in these]):,.0f} of {these[0]['users']:,}"
            chance = f"{np.mean([one['probability'] for one in these]):.4f}"
            rows.append((Cell(lake), Cell(method), *map(Cell, (key[0], key[1], chance, size, *texts))))
    return Table(
        "Demands that nobody meets",
        "Beside the lake's own demands.",
        ("lake", "method", "kind", "sentence", "mean probability", "predicted size", "near texts", "rewriting says"),
        tuple(rows),
    )


def _figure(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.3f}" if known else NONE


def _percent(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1%}" if values else NONE
