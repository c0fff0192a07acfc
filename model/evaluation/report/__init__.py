"""Tables and pictures of stored results: Markdown for the documentation, one HTML page to look at."""

from pathlib import Path

from model.evaluation.files import write_atomically
from model.evaluation.notes import read_notes
from model.evaluation.pictures import read_pictures
from model.evaluation.report import markdown, page
from model.evaluation.report.noted import noted
from model.evaluation.report.plan import Book, Comparison, Method, Plan, Study
from model.evaluation.report.tables import verdicts
from model.evaluation.results import read_all

__all__ = ["Comparison", "Method", "Plan", "Study", "write_report"]


def write_report(
    results: Path, plan: Plan, *, text: Path, html: Path, pictures: Path | None = None, notes: Path | None = None
) -> list[str]:
    """Writes the Markdown and the HTML page of a folder of results, each at once; the same results give the same
    bytes. Results that the plan does not name are left out. Returns its first lines: who is first on each lake."""
    book = Book(plan, read_all(results))
    more = noted(read_notes(notes), plan.lakes) if notes else []
    write_atomically(text, markdown.render(book, more))
    write_atomically(html, page.render(book, read_pictures(pictures) if pictures else (), more))
    return verdicts(book)
