"""A report as one HTML file: light and dark, on a phone, no script and nothing from outside."""

from collections.abc import Sequence
from html import escape

from model.evaluation.pictures import Picture
from model.evaluation.report.figures import lake_figures, picture_figure
from model.evaluation.report.plan import Book
from model.evaluation.report.sections import Section, sections
from model.evaluation.report.style import STYLE
from model.evaluation.report.tables import Cell, Table


def render(book: Book, pictures: Sequence[Picture] = (), more: Sequence[Section] = ()) -> str:
    """The whole page."""
    given = sections(book, more)
    title = escape(book.plan.title)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    body = [
        f"<h1>{title}</h1>",
        *(f"<p>{escape(paragraph)}</p>" for paragraph in book.plan.preface),
        _contents(given, pictures),
        *(_section(book, section, number) for number, section in enumerate(given)),
        _pictures(pictures),
    ]
    inner = "\n".join(part for part in body if part)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}</style></head>\n'
        f"<body><main>\n{inner}\n</main></body></html>\n"
    )


def _contents(given: Sequence[Section], pictures: Sequence[Picture]) -> str:
    places = [(f"s{number}", section.title) for number, section in enumerate(given)]
    links = [*places, ("pictures", "Users in the plane")] if pictures else places
    anchors = [f'<a href="#{place}">{escape(title)}</a>' for place, title in links]
    return f"<nav>{' '.join(anchors)}</nav>"


def _section(book: Book, section: Section, number: int) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in section.lines)
    figures = "\n".join(lake_figures(book, section.lake)) if section.lake else ""
    parts = [
        f'<h2 id="s{number}">{escape(section.title)}</h2>',
        f"<ul>{lines}</ul>" if lines else "",
        f'<div class="figures">{figures}</div>' if figures else "",
        *map(_table, section.tables),
    ]
    return f"<section>{''.join(parts)}</section>"


def _pictures(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    figures = "\n".join(map(picture_figure, pictures))
    return f'<section><h2 id="pictures">Users in the plane</h2><div class="figures">{figures}</div></section>'


def _table(table: Table) -> str:
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    rows = "\n".join(f"<tr>{_head(row[0])}{''.join(map(_cell, row[1:]))}</tr>" for row in table.rows)
    return (
        f"<h3>{escape(table.title)}</h3><p>{escape(table.note)}</p>"
        f'<div class="wide" tabindex="0"><table><thead><tr>{header}</tr></thead><tbody>\n{rows}</tbody></table></div>'
    )


def _head(cell: Cell) -> str:
    return f'<th scope="row">{escape(cell.text)}</th>'


def _cell(cell: Cell) -> str:
    kind = ' class="best"' if cell.best else ' class="quiet"' if cell.quiet else ""
    return f"<td{kind}>{escape(cell.text)}</td>"
