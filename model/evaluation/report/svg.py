"""Small inline SVG plots without any library: lines, bars with intervals, points. Colours are classes s0 to s6 of the
page's style, so that they follow light and dark; s0 is the quiet one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 400, 280
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 38
BAR, GAP = 9, 10
DASHES = ("", "7 3", "2 3", "9 3 2 3", "5 5", "1 4")


@dataclass(frozen=True)
class Frame:
    """Where data coordinates lie on the picture."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float
    height: float = HEIGHT
    left: float = LEFT
    bottom: float = BOTTOM

    def x(self, value: float) -> float:
        return self.left + (value - self.low_x) / (self.high_x - self.low_x) * (WIDTH - self.left - RIGHT)

    def y(self, value: float) -> float:
        span = self.height - TOP - self.bottom
        return self.height - self.bottom - (value - self.low_y) / (self.high_y - self.low_y) * span


@dataclass(frozen=True)
class Line:
    """A named line; `place` is its colour, 1 to 6, the same for one method in every plot."""

    title: str
    place: int
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Bar:
    """A bar of a row, with the ends of its interval."""

    title: str
    place: int
    value: float
    low: float
    high: float


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`."""
    raw = (high - low) / most
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw - 1e-12)
    first = int(np.ceil(low / step - 1e-9))
    return [round(number * step, 10) for number in range(first, int(np.floor(high / step + 1e-9)) + 1)]


def lines(
    title: str, given: Sequence[Line], frame: Frame, *, across: str, up: str, guide: Sequence[tuple[float, float]]
) -> str:
    """Lines over a grid; `guide` is the dashed line of a method that knows nothing, or is perfect."""
    body = [*_grid(frame, across, up), _path(guide, frame, "guide", "4 4")]
    for line in given:
        dash = DASHES[(line.place - 1) % len(DASHES)]
        body.append(_path(line.points, frame, f"line s{line.place}", dash))
        body += [_dot(line, frame.x(x), frame.y(y), f"{x:.3g}: {y:.3g}") for x, y in line.points]
    return _svg(title, body, frame.height)


def bars(title: str, rows: Mapping[str, Sequence[Bar]], *, across: str, origin: float) -> str:
    """Per row its bars, which grow from `origin` to either side, each with a whisker over its interval."""
    ends = [end for row in rows.values() for bar in row for end in (bar.low, bar.high, bar.value)]
    low, high = min([origin, *ends]), max([origin, *ends])
    room = (high - low or 1.0) * 0.04
    height = TOP + 36 + sum(BAR * len(row) + GAP + 13 for row in rows.values())
    frame = Frame(low - room, high + room, 0, 1, height=height, left=14, bottom=36)
    body = [*_grid(frame, across, ""), _path([(origin, 0), (origin, 1)], frame, "zero", "")]
    top = float(TOP)
    for name, row in rows.items():
        body.append(f'<text class="row" x="14" y="{top + 11:.1f}">{escape(name)}</text>')
        body += [_bar(bar, frame, origin, top + 15 + BAR * place) for place, bar in enumerate(row)]
        top += BAR * len(row) + GAP + 13
    return _svg(title, body, height)


def scatter(title: str, groups: Mapping[str, Sequence[Sequence[int]]], marks: Sequence[str], side: int) -> str:
    """Points of a plane without axes (those of t-SNE mean nothing), the first group below all others; each mark is a
    ringed point with its name."""
    frame = Frame(0, side, 0, side, height=WIDTH, left=RIGHT, bottom=TOP)
    body = []
    for place, (name, points) in enumerate(groups.items()):
        if name in marks:
            continue
        path = "".join(f"M{frame.x(x):.0f} {frame.y(y):.0f}h0" for x, y in points)
        body.append(f'<path class="points s{place}" d="{path}"><title>{escape(name)}</title></path>')
    for name in marks:
        body += [_mark(name, frame.x(x), frame.y(y)) for x, y in groups[name]]
    return _svg(title, body, WIDTH)


def legend(names: Mapping[str, int], *, dashed: bool) -> str:
    """Names beside their colours."""
    items = [f"<li>{_key(place, dashed=dashed)}{escape(name)}</li>" for name, place in names.items()]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _key(place: int, *, dashed: bool) -> str:
    dash = DASHES[(place - 1) % len(DASHES)] if dashed else ""
    kind = f'<path class="line s{place}" stroke-dasharray="{dash}" d="M0 5h22"/>'
    swatch = f'<rect class="bar s{place}" width="12" height="10" rx="2"/>'
    return f'<svg width="{24 if dashed else 12}" height="10" aria-hidden="true">{kind if dashed else swatch}</svg>'


def _svg(title: str, body: Sequence[str], height: float) -> str:
    inner = "".join(body)
    name = escape(title, quote=True)
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{name}">{inner}</svg>'


def _grid(frame: Frame, across: str, up: str) -> list[str]:
    bottom = frame.height - frame.bottom
    found = []
    for x in ticks(frame.low_x, frame.high_x):
        found.append(f'<path class="grid" d="M{frame.x(x):.1f} {TOP}V{bottom:.1f}"/>')
        found.append(f'<text class="tick" text-anchor="middle" x="{frame.x(x):.1f}" y="{bottom + 14:.1f}">{x:g}</text>')
    for y in ticks(frame.low_y, frame.high_y) if up else []:
        found.append(f'<path class="grid" d="M{frame.left} {frame.y(y):.1f}H{WIDTH - RIGHT}"/>')
        found.append(
            f'<text class="tick" text-anchor="end" x="{frame.left - 5}" y="{frame.y(y) + 3.5:.1f}">{y:g}</text>'
        )
    middle = (frame.left + WIDTH - RIGHT) / 2
    found.append(
        f'<text class="axis" text-anchor="middle" x="{middle:.0f}" y="{bottom + 30:.1f}">{escape(across)}</text>'
    )
    if up:
        turned = f'transform="rotate(-90)" x="{-(TOP + bottom) / 2:.0f}" y="11"'
        found.append(f'<text class="axis" text-anchor="middle" {turned}>{escape(up)}</text>')
    return found


def _path(points: Sequence[tuple[float, float]], frame: Frame, kind: str, dash: str) -> str:
    path = "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in points)
    return f'<path class="{kind}" stroke-dasharray="{dash}" d="M{path}"/>' if points else ""


def _dot(line: Line, x: float, y: float, text: str) -> str:
    told = escape(f"{line.title}, {text}")
    return f'<circle class="dot s{line.place}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>{told}</title></circle>'


def _bar(bar: Bar, frame: Frame, origin: float, top: float) -> str:
    start, end = sorted((frame.x(origin), frame.x(bar.value)))
    told = escape(f"{bar.title}: {bar.value:.3f} ({bar.low:.3f} to {bar.high:.3f})")
    size = f'x="{start:.1f}" y="{top:.1f}" width="{max(end - start, 0.5):.1f}" height="{BAR - 2}" rx="1"'
    whisker = f"M{frame.x(bar.low):.1f} {top + (BAR - 2) / 2:.1f}H{frame.x(bar.high):.1f}"
    return f'<g><title>{told}</title><rect class="bar s{bar.place}" {size}/><path class="whisker" d="{whisker}"/></g>'


def _mark(name: str, x: float, y: float) -> str:
    anchor, beside = ("end", x - 9) if x > WIDTH / 2 else ("start", x + 9)
    ring = f'<circle class="mark" cx="{x:.0f}" cy="{y:.0f}" r="5"/>'
    return f'{ring}<text class="name" text-anchor="{anchor}" x="{beside:.0f}" y="{y + 4:.0f}">{escape(name)}</text>'
