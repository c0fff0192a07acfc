"""The order of a report, the same in Markdown and HTML."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.evaluation.report.plan import Book
from model.evaluation.report.studies import study_tables
from model.evaluation.report.tables import Table, all_measures, margins, overview, per_scenario, standings, verdicts

READING = (
    "Methods of one table see the same of a scenario. The best figure of a column is bold.",
    "Accuracy, precision and recall are of an audience as large as the base rate of the fit split says, the same size "
    "for every method, picked by its own ranking; no label of the eval split chooses anything. At its own size: as "
    "large as the method's probabilities add up to. P@100: precision among the 100 best; ties count in random order.",
    "Brier skill: what the probabilities save of the Brier score of the base rate, which knows the eval labels. ECE: "
    "expected calibration error in 15 bins of equal mass. Size off by: the factor between the predicted and the "
    "realised size of the audience in the median scenario.",
    "Intervals are 95 % percentile intervals over resamples of a scenario's users, the same ones for every method, so "
    "that differences are paired; with several seeds they cover the seeds as well. They do not cover the choice of "
    "the scenarios. A difference holds where its interval excludes zero. With one seed the interval knows chance over "
    "users alone, while seeds differ by more (the standard deviations of the tables): such a difference is not bold.",
    "Where several scenarios have the same users and labels (the generated lake's: three sentences of each intent), "
    "intervals of means over scenarios are too narrow, most of all for specificity. "
    "Of the many single comparisons (for, against, open) one in twenty would hold by chance.",
    "Not reproduced: a learned baseline that does not rank these users better than chance and than itself with random "
    "weights, on the mean of its seeds.",
)
"""What the reader of the tables has to know."""


@dataclass(frozen=True)
class Section:
    """Lines in words, then tables. `lake` names whose figures belong here."""

    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    lake: str = ""


def sections(book: Book, more: Sequence[Section] = ()) -> list[Section]:
    """Who is first, all lakes at a glance, the paper's margins, what each part is worth, what more there is, each lake,
    and how to read it."""
    plan = book.plan
    found = [
        Section("In short", (*verdicts(book), *plan.remarks)),
        Section("All methods", tables=tuple(overview(book, group) for group in plan.groups)),
    ]
    if plan.comparisons:
        found.append(Section("Beside the paper", tables=(margins(book),)))
    if studies := study_tables(book):
        found.append(Section("Ours with one thing changed", tables=tuple(studies)))
    return [*found, *more, *(_lake(book, lake) for lake in plan.lakes), Section("How to read this", READING)]


def _lake(book: Book, lake: str) -> Section:
    groups = [group for group, methods in book.plan.groups.items() if any(book.of(lake, m.name) for m in methods)]
    tables = [make(book, group, lake) for group in groups for make in (all_measures, per_scenario, standings)]
    return Section(lake, tables=tuple(table for table in tables if table.rows), lake=lake)
