"""The figures of a lake from its stored results: lift by decile, calibration, each scenario's AUC; and t-SNE."""

from collections.abc import Sequence
from html import escape

import numpy as np

from model.evaluation.comparison import summarise
from model.evaluation.measures import MAIN
from model.evaluation.pictures import SIDE, Picture
from model.evaluation.ranking import DECILES
from model.evaluation.report.plan import CHANCE, Book
from model.evaluation.report.svg import Bar, Frame, Line, bars, legend, lines, scatter
from model.evaluation.results import Result


def lake_figures(book: Book, lake: str) -> list[str]:
    """As HTML figures; those without data are left out."""
    return [figure for make in (_lift, _calibration, _scenarios) if (figure := make(book, lake))]


def picture_figure(drawn: Picture) -> str:
    plot = scatter(drawn.title, drawn.groups, drawn.marks, SIDE)
    places = {name: place for place, name in enumerate(drawn.groups) if name not in drawn.marks}
    note = drawn.note or "t-SNE: near points are alike, distances between groups mean little."
    return _figure(drawn.title, note, plot, legend(places, dashed=False))


def _lift(book: Book, lake: str) -> str:
    drawn = [
        Line(title, place, [(decile + 1.0, float(lift)) for decile, lift in enumerate(mean)])
        for title, place, results in _drawn(book, lake)
        if len(mean := _mean([s.lift for r in results for s in r.scenarios.values() if s.lift]))
    ]
    if not drawn:
        return ""
    frame = Frame(0.7, DECILES + 0.3, 0, max(y for line in drawn for _, y in line.points) * 1.05)
    even = [(1.0, 1.0), (float(DECILES), 1.0)]
    plot = lines(f"Lift on {lake}", drawn, frame, across="tenth of the users, best first", up="lift", guide=even)
    note = "How many times the base rate each tenth of the ranking has; mean over scenarios. Dashed grey: no ranking."
    return _figure("Lift by decile", note, plot, _legend(drawn))


def _calibration(book: Book, lake: str) -> str:
    drawn = [
        Line(title, place, list(zip(*mean.tolist(), strict=True)))
        for title, place, results in _drawn(book, lake)
        if len(mean := _mean([s.calibration for r in results for s in r.scenarios.values() if s.calibration]))
    ]
    if not drawn:
        return ""
    top = max(end for line in drawn for point in line.points for end in point) * 1.05
    plot = lines(
        f"Calibration on {lake}",
        drawn,
        Frame(0, top, 0, top),
        across="predicted probability",
        up="share that acts",
        guide=[(0, 0), (top, top)],
    )
    note = "15 bins of equal mass; mean over scenarios. On the grey diagonal a promise is kept."
    return _figure("Calibration", note, plot, _legend(drawn))


def _scenarios(book: Book, lake: str) -> str:
    names = sorted({name for _, _, results in _drawn(book, lake) for r in results for name in r.scenarios})
    rows = {name: found for name in names if (found := _row(book, lake, name))}
    if not rows:
        return ""
    places = {bar.title: bar.place for row in rows.values() for bar in row}
    plot = bars(f"AUC per scenario of {lake}", rows, across="AUC", origin=CHANCE)
    note = "From chance (0.5), with the 95 % interval of the bootstrap."
    return _figure("Scenarios", note, plot, legend(places, dashed=False))


def _row(book: Book, lake: str, scenario: str) -> list[Bar]:
    return [
        Bar(title, place, found.value, *found.interval)
        for title, place, results in _drawn(book, lake)
        if (found := summarise(results, MAIN, scenario))
    ]


def _drawn(book: Book, lake: str) -> list[tuple[str, int, list[Result]]]:
    """Title, colour and results of the methods that the plan draws and the lake has."""
    return [
        (book.plan.title_of(name), place, results)
        for place, name in enumerate(book.plan.drawn, start=1)
        if (results := book.of(lake, name))
    ]


def _mean(values: Sequence[Sequence[float] | Sequence[Sequence[float]]]) -> "np.ndarray":
    return np.mean(values, axis=0) if values else np.zeros(0)


def _legend(drawn: Sequence[Line]) -> str:
    return legend({line.title: line.place for line in drawn}, dashed=True)


def _figure(title: str, note: str, plot: str, names: str) -> str:
    return f"<figure><figcaption><b>{escape(title)}</b> {escape(note)}</figcaption>{names}{plot}</figure>"
