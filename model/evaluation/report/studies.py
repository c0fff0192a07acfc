"""What one change to our own method is worth: ablations and transfer, beside what they are compared with."""

from collections.abc import Sequence

from model.evaluation.comparison import difference, same_seeds
from model.evaluation.measures import MAIN
from model.evaluation.report.plan import Book, Method, Study
from model.evaluation.report.tables import NONE, SPECIFICITY, Cell, Table, figure, interval_text
from model.evaluation.results import Result


def study_tables(book: Book) -> list[Table]:
    """A table per study of which any lake has something to say."""
    return [table for study in book.plan.studies if (table := _table(book, study))]


def _table(book: Book, study: Study) -> Table | None:
    """Without the methods of which no lake knows anything; None where that leaves none."""
    lakes, against = book.plan.lakes, [book.plan.method(name) for name in study.against]
    known = [method for method in study.methods if any(book.knows(lake, method.name) for lake in lakes)]
    if not known:
        return None
    header = ["method"]
    for lake in lakes:
        header += [lake, *(f"less {method.title}" for method in against)]
    return Table(
        study.title,
        f"{study.note} Mean AUC / specificity, then its mean AUC less that of the other with the 95 % interval of the "
        "paired bootstrap, over the seeds that both have; bold where the difference holds over several seeds.",
        tuple(header),
        tuple(_row(book, study, method) for method in (*against, *known)),
    )


def _row(book: Book, study: Study, method: Method) -> tuple[Cell, ...]:
    cells = [Cell(method.title)]
    for lake in book.plan.lakes:
        results = book.of(lake, method.name)
        text = f"{figure(results, MAIN)} / {figure(results, SPECIFICITY, spread=False, digits=2)}"
        cells.append(Cell(text) if results else Cell(book.absence(lake, method.name), quiet=True))
        cells += [_less(results, book.of(lake, other)) for other in study.against]
    return tuple(cells)


def _less(one: Sequence[Result], other: Sequence[Result]) -> Cell:
    found = None if one == other else difference(*same_seeds(one, other), MAIN)
    if found is None:
        return Cell(NONE, quiet=True)
    return Cell(interval_text(found), best=found.holds_over_seeds)
