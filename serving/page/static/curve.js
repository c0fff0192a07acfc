// One ranking, seen as sizes: the server's points, and what lies between two of them.

export class Curve {
  constructor(points) {
    this.points = points;
  }

  get end() {
    return this.points.at(-1)?.size ?? 0;
  }

  // The audience of the first `size` users; counts between two points are on the line between them.
  at(size) {
    const next = this.points.findIndex((point) => point.size >= size);
    if (next < 0) return this.points.at(-1);
    const [after, before] = [this.points[next], this.points[next - 1]];
    if (after.size === size || !before) return after;
    const part = (size - before.size) / (after.size - before.size);
    const between = (name) => before[name] + part * (after[name] - before[name]);
    return {
      size,
      probability: between("probability"),
      expected: between("expected"),
      low: Math.floor(between("low")),
      high: Math.ceil(between("high")),
    };
  }

  isExact(size) {
    return this.points.some((point) => point.size === size);
  }

  // A point that the server was asked for since.
  add(point) {
    if (!this.isExact(point.size)) {
      this.points = [...this.points, point].sort((one, other) => one.size - other.size);
    }
  }

  // The nearest point in the direction in which the slider was moved.
  snapped(size, before) {
    const sizes = this.points.map((point) => point.size);
    if (size > before) return sizes.find((each) => each >= size) ?? this.end;
    return sizes.findLast((each) => each <= size) ?? sizes[0];
  }
}
