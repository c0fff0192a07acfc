// The tenths of a ranking as bars, what share of the first N will do it as a line, and the size chosen.

import { h, show, svg } from "./dom.js";
import { count, percent } from "./words.js";

const HEIGHT = 230;
const MARGIN = { left: 48, right: 12, top: 26, bottom: 26 };
export const INSET = { left: MARGIN.left, right: MARGIN.right };

export class Chart {
  constructor() {
    this.element = h("div", { class: "chart" });
    this.bars = [];
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  // `bars`: {users, value} in rank order; `line`: {size, value}; both in shares of 1.
  update(bars, line, size) {
    Object.assign(this, { bars, line, size });
    this.draw();
  }

  choose(size) {
    this.size = size;
    this.draw();
  }

  draw() {
    const width = this.element.clientWidth;
    if (!width || !this.bars.length) return;
    const total = this.bars.reduce((sum, bar) => sum + bar.users, 0);
    const top = ceiling(Math.max(...this.bars.map((bar) => bar.value), ...this.line.map((point) => point.value)));
    const x = (users) => MARGIN.left + ((width - MARGIN.left - MARGIN.right) * users) / total;
    const y = (value) => HEIGHT - MARGIN.bottom - ((HEIGHT - MARGIN.top - MARGIN.bottom) * value) / top;
    const drawing = svg(
      "svg",
      { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": this.said(total) },
      this.ticks(x, y, top, total, width),
      this.tenths(x, y),
      svg("path", { class: "line", d: path(this.line, x, y) }),
      this.marker(x, y),
    );
    show(this.element, drawing);
  }

  ticks(x, y, top, total, width) {
    const across = [0, top / 2, top].map((value) => [
      svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      svg("text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, percent(value)),
    ]);
    const parts = width < 420 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1];
    const down = parts.map((part) =>
      svg(
        "text",
        { x: x(part * total), y: HEIGHT - 6, "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle" },
        part === 1 ? `${count(total)} users` : count(Math.round(part * total)),
      ),
    );
    return svg("g", { class: "ticks" }, across.flat(), down);
  }

  tenths(x, y) {
    let start = 0;
    const drawn = this.bars.map((bar) => {
      const [from, to] = [start, (start += bar.users)];
      const inside = Math.max(from, Math.min(to, this.size));
      const part = (a, b, kind) =>
        b > a &&
        svg("rect", {
          class: kind,
          x: x(a),
          width: Math.max(0, x(b) - x(a) - (b === to ? 2 : 0)),
          y: y(bar.value),
          height: y(0) - y(bar.value),
        });
      return [part(from, inside, "in"), part(inside, to, "out")];
    });
    return svg("g", { class: "bars" }, drawn.flat());
  }

  marker(x, y) {
    const point = this.line.findLast((each) => each.size <= this.size) ?? this.line[0];
    const at = x(this.size);
    return svg(
      "g",
      { class: "marker" },
      svg("line", { x1: at, x2: at, y1: MARGIN.top - 8, y2: y(0) }),
      svg("circle", { cx: at, cy: y(point.value), r: 5 }),
      svg(
        "text",
        {
          x: Math.min(Math.max(at, MARGIN.left + 44), x.call(null, this.line.at(-1).size) - 44),
          y: 12,
          "text-anchor": "middle",
        },
        `top ${count(this.size)}`,
      ),
    );
  }

  said(total) {
    const first = this.bars[0];
    const last = this.bars.at(-1);
    return `Of the first tenth of ${count(total)} users ${percent(first.value)} will do it, of the last ${percent(last.value)}.`;
  }
}

function path(points, x, y) {
  return points
    .map((point, at) => `${at ? "L" : "M"}${x(point.size).toFixed(1)} ${y(point.value).toFixed(1)}`)
    .join("");
}

// The next round share with a round half, at most 1.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value || 0.01));
  const step = [1, 2, 3, 4, 6, 8, 10].find((each) => each * power >= value * 1.02) ?? 10;
  return Math.min(1, step * power);
}
