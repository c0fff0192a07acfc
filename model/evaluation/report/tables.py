"""The tables of a report, as rows of cells that Markdown and HTML share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.evaluation.comparison import Difference, difference, same_seeds, size_factor, summarise
from model.evaluation.measures import LOWER_IS_BETTER, MAIN, MEASURES
from model.evaluation.report.plan import Book, Method
from model.evaluation.results import Result

SPECIFICITY = "specificity"
SIZE = "size_ratio"
HEADINGS = MEASURES | {SPECIFICITY: "specificity", SIZE: "size off by"}
NONE = "-"


@dataclass(frozen=True)
class Cell:
    """`best` of its column; `quiet` where it says why there is no figure."""

    text: str
    best: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Table:
    """The first column names the rows."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def overview(book: Book, group: str) -> Table:
    """Methods x lakes: mean AUC with its spread over seeds, specificity, and the seconds of one seed on one lake."""
    methods = book.plan.groups[group]
    columns = [_overview_column(book, lake, methods) for lake in book.plan.lakes]
    seconds = [Cell(_seconds([r for lake in book.plan.lakes for r in book.of(lake, m.name)])) for m in methods]
    names = [Cell(method.title) for method in methods]
    return Table(
        f"{group}: all lakes",
        "Mean AUC over the scenarios ± standard deviation over seeds / specificity; seconds of one lake and seed.",
        ("method", *book.plan.lakes, "seconds"),
        tuple(zip(names, *columns, seconds, strict=True)),
    )


def all_measures(book: Book, group: str, lake: str) -> Table:
    """Methods x measures on one lake: means over the scenarios in which the measure is defined."""
    methods = book.plan.groups[group]
    measures = [name for name in HEADINGS if any(summarise(book.of(lake, m.name), name) for m in methods)]
    columns = [_measure_column(book, lake, methods, name) for name in measures]
    seconds = [Cell(_seconds(book.of(lake, method.name))) for method in methods]
    return Table(
        f"{group}: {lake}",
        "Means over scenarios ± standard deviation over seeds.",
        ("method", *(HEADINGS[name] for name in measures), "seconds"),
        tuple(zip([Cell(m.title) for m in methods], *columns, seconds, strict=True)),
    )


def per_scenario(book: Book, group: str, lake: str) -> Table:
    """Methods x scenarios on one lake: AUC with its 95 % interval."""
    methods = book.plan.groups[group]
    facts = {name: found for m in methods for r in book.of(lake, m.name) for name, found in r.scenarios.items()}
    rates = [Cell(f"{facts[name].positives / facts[name].users:.3f} of {facts[name].users:,}") for name in facts]
    columns = [[_with_interval(book, lake, method, name) for method in methods] for name in facts]
    marked = [
        _marked(column, [_value(book, lake, m, MAIN, name) for m in methods])
        for name, column in zip(facts, columns, strict=True)
    ]
    return Table(
        f"{group}: scenarios of {lake}",
        "AUC and its 95 % interval; in the first row the share of the candidates that acts.",
        ("method", *facts),
        ((Cell("base rate"), *rates), *zip([Cell(m.title) for m in methods], *marked, strict=True)),
    )


def standings(book: Book, group: str, lake: str) -> Table:
    """How much the best method of a group is ahead of each other one, and whether that holds."""
    order = book.standing(lake, book.plan.groups[group])
    rows = [_behind(book, lake, order[0][1], method) for _, method in order[1:]]
    lead = f"{order[0][1].title} is first. " if order else ""
    return Table(
        f"{group}: differences on {lake}",
        f"{lead}Its mean AUC less that of the others, with the 95 % interval of the paired bootstrap; and the number "
        "of scenarios in which a difference of its own holds.",
        ("less", "difference", "holds", "scenarios for / against / open"),
        tuple(rows),
    )


def margins(book: Book) -> Table:
    """The paper's margins beside ours, in points (hundredths); without those that no lake has."""
    asked = [
        (c, measure, _margins(book, c.one, c.other, measure)) for c in book.plan.comparisons for measure in c.measures
    ]
    rows = [
        (Cell(c.title), Cell(HEADINGS[measure]), Cell(c.paper or NONE), *cells)
        for c, measure, cells in asked
        if any(not cell.quiet for cell in cells)
    ]
    return Table(
        "The paper's margins and ours",
        "In points (hundredths of the measure), with 95 % intervals; bold where one holds over several seeds.",
        ("margin", "measure", "paper", *book.plan.lakes),
        tuple(rows),
    )


def verdicts(book: Book) -> list[str]:
    """Per lake a sentence: the place of `plan.ours` in its group and what is ahead or next."""
    return [sentence for lake in book.plan.lakes if (sentence := _verdict(book, lake))]


def _verdict(book: Book, lake: str) -> str:
    ours = next(method for method in book.plan.methods if method.name == book.plan.ours)
    order = [method for _, method in book.standing(lake, book.plan.groups[ours.group])]
    if ours not in order or len(order) < 2:
        return ""
    place = order.index(ours)
    other = order[1] if place == 0 else order[0]
    found = difference(book.of(lake, ours.name), book.of(lake, other.name), MAIN)
    where = f"first of {len(order)}" if place == 0 else f"number {place + 1} of {len(order)}"
    held = "" if found is None else f", {interval_text(found)}, which {_held(found)}"
    return f"{lake}: {ours.title} is {where} by mean AUC; {'next' if place == 0 else 'first'} is {other.title}{held}."


def _held(found: Difference) -> str:
    told = "holds" if found.holds else "does not hold"
    return told if found.seeds > 1 else f"{told} by one seed"


def _overview_column(book: Book, lake: str, methods: Sequence[Method]) -> list[Cell]:
    order = book.standing(lake, methods)
    best = order[0][1] if len(order) > 1 else None
    return [_overview_cell(book, lake, method, best=method is best) for method in methods]


def _overview_cell(book: Book, lake: str, method: Method, *, best: bool) -> Cell:
    results = book.of(lake, method.name)
    if not results:
        return Cell(book.absence(lake, method.name), quiet=True)
    text = f"{figure(results, MAIN)} / {figure(results, SPECIFICITY, spread=False, digits=2)}"
    if doubt := book.doubt(lake, method):
        return Cell(f"not reproduced ({doubt}): {text}", quiet=True)
    return Cell(text, best=best)


def _measure_column(book: Book, lake: str, methods: Sequence[Method], name: str) -> list[Cell]:
    cells = [Cell(figure(book.of(lake, method.name), name)) for method in methods]
    return _marked(cells, [_value(book, lake, method, name) for method in methods], name)


def _marked(cells: Sequence[Cell], values: Sequence[float | None], name: str = MAIN) -> list[Cell]:
    """The best of a column of two or more; several where they are equal."""
    known = [value for value in values if value is not None]
    top = (min(known) if name in LOWER_IS_BETTER else max(known)) if len(known) > 1 else None
    return [
        Cell(cell.text, best=value is not None and value == top, quiet=cell.quiet)
        for cell, value in zip(cells, values, strict=True)
    ]


def _value(book: Book, lake: str, method: Method, name: str, scenario: str | None = None) -> float | None:
    """What may be best: nothing of a method that was not reproduced."""
    results = book.of(lake, method.name)
    if book.doubt(lake, method):
        return None
    if name == SIZE:
        return size_factor(results)
    found = summarise(results, name, scenario)
    return None if found is None else found.value


def _with_interval(book: Book, lake: str, method: Method, scenario: str) -> Cell:
    found = summarise(book.of(lake, method.name), MAIN, scenario)
    if found is None:
        return Cell(NONE, quiet=True)
    low, high = found.interval
    return Cell(f"{found.value:.3f} ({low:.2f} to {high:.2f})", quiet=bool(book.doubt(lake, method)))


def _behind(book: Book, lake: str, best: Method, method: Method) -> tuple[Cell, ...]:
    one, other = book.of(lake, best.name), book.of(lake, method.name)
    found = difference(one, other, MAIN)
    if found is None:
        return Cell(method.title), Cell(NONE), Cell(NONE), Cell(NONE)
    names = sorted(one[0].scenarios)
    signs = [d.sign for name in names if (d := difference(one, other, MAIN, name))]
    counts = f"{signs.count(1)} / {signs.count(-1)} / {signs.count(0)}"
    return Cell(method.title), Cell(interval_text(found)), Cell("yes" if found.holds else "no"), Cell(counts)


def _margins(book: Book, one: str, other: str, measure: str) -> list[Cell]:
    cells = []
    for lake in book.plan.lakes:
        found = difference(*same_seeds(book.of(lake, one), book.of(lake, other)), measure)
        text = NONE if found is None else interval_text(found, factor=100, digits=1)
        cells.append(Cell(text, best=found is not None and found.holds_over_seeds, quiet=found is None))
    return cells


def interval_text(found: Difference, *, factor: float = 1, digits: int = 3) -> str:
    value, low, high = (f"{number * factor:+.{digits}f}" for number in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def figure(results: Sequence[Result], name: str, *, spread: bool = True, digits: int = 3) -> str:
    found = summarise(results, name)
    if found is None:
        return NONE
    if name == SIZE:
        return f"{size_factor(results):.2f}"
    return f"{found.value:.{digits}f}" + (f" ± {found.sd:.{digits}f}" if spread and found.sd is not None else "")


def _seconds(results: Sequence[Result]) -> str:
    return f"{np.mean([result.wall_seconds for result in results]):.1f}" if results else NONE
