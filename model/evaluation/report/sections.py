"""The order of a report, the same in Markdown and HTML."""

from dataclasses import dataclass

from model.evaluation.report.plan import Book
from model.evaluation.report.tables import Table, all_measures, margins, overview, per_scenario, standings, verdicts


@dataclass(frozen=True)
class Section:
    """Lines in words, then tables. `lake` names whose figures belong here."""

    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    lake: str = ""


def sections(book: Book) -> list[Section]:
    """Who is first, all lakes at a glance, the paper's margins, then each lake in full."""
    plan = book.plan
    found = [
        Section("In short", (*verdicts(book), *plan.remarks), tuple(overview(book, group) for group in plan.groups))
    ]
    if plan.comparisons:
        found.append(Section("Beside the paper", tables=(margins(book),)))
    return found + [_lake(book, lake) for lake in plan.lakes]


def _lake(book: Book, lake: str) -> Section:
    groups = [group for group, methods in book.plan.groups.items() if any(book.of(lake, m.name) for m in methods)]
    tables = [make(book, group, lake) for group in groups for make in (all_measures, per_scenario, standings)]
    return Section(lake, tables=tuple(table for table in tables if table.rows), lake=lake)
