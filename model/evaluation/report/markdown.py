"""A report as Markdown, for docs/results.md."""

from collections.abc import Sequence

from model.evaluation.report.plan import Book
from model.evaluation.report.sections import Section, sections
from model.evaluation.report.tables import Cell, Table


def render(book: Book, more: Sequence[Section] = ()) -> str:
    """The preface, what is first where, all tables, the remarks; ends with a newline."""
    parts = [f"# {book.plan.title}", *book.plan.preface, *map(_section, sections(book, more))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(section: Section) -> str:
    lines = "\n".join(f"- {line}" for line in section.lines)
    return "\n\n".join(part for part in (f"## {section.title}", lines, *map(_table, section.tables)) if part)


def _table(table: Table) -> str:
    header = [_row([*table.header]), _row(["---", *["---:"] * (len(table.header) - 1)])]
    rows = "\n".join([*header, *(_row([_cell(cell) for cell in row]) for row in table.rows)])
    return f"### {table.title}\n\n{table.note}\n\n{rows}"


def _row(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _cell(cell: Cell) -> str:
    text = cell.text.replace("|", "\\|")
    return f"**{text}**" if cell.best else f"_{text}_" if cell.quiet and text != "-" else text
