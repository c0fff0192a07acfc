// A sample of all users in two dimensions, with the members of an audience lit.

import { call } from "./api.js";
import { h, show, svg } from "./dom.js";
import { count, percent } from "./words.js";

const SIZE = 320;
let drawn = null;

export class UserMap {
  constructor() {
    this.element = h("div", { class: "map" });
    this.lit = [];
  }

  async light(ask, signal) {
    drawn ??= call("GET", "v1/map").catch((error) => {
      drawn = null;
      throw error;
    });
    const [sample, lit] = await Promise.all([drawn, ask(signal)]);
    if (sample.collection !== lit.collection || sample.ds !== lit.ds) drawn = null;
    Object.assign(this, { sample, lit: lit.points, size: lit.size });
    this.draw(this.lit.length);
  }

  // The first `members` of those who are known.
  draw(members) {
    if (!this.sample) return;
    const shown = this.lit.slice(0, members);
    const place = placer(this.sample.points.concat(this.lit));
    const said = `${count(shown.length)} of the audience's users among a sample of ${count(this.sample.points.length)} of ${count(this.sample.users)} users`;
    show(
      this.element,
      svg(
        "svg",
        { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": `Map of users: ${said}.` },
        svg("path", { class: "dots", d: dots(this.sample.points, place) }),
        svg("path", { class: "dots lit", d: dots(shown, place) }),
      ),
      h(
        "p",
        { class: "soft small" },
        h("span", { class: "key-dot lit" }),
        `the first ${count(shown.length)} of the audience `,
        h("span", { class: "key-dot" }),
        `${count(this.sample.points.length)} of all ${count(this.sample.users)} users`,
      ),
      h(
        "p",
        { class: "soft small" },
        `Users close to each other did similar things. The map shows ${percent(this.sample.explained)} of what they differ by, beside how active they are.`,
      ),
    );
  }
}

// All but the outermost hundredth fill the square; those beyond lie on its edge.
function placer(points) {
  const bounds = [0, 1].map((axis) => {
    const sorted = points.map((point) => point[axis]).sort((one, other) => one - other);
    const at = (part) => sorted[Math.floor(part * (sorted.length - 1))] ?? 0;
    const [low, high] = [at(0.005), at(0.995)];
    return [low, Math.max(high - low, 1e-9)];
  });
  const inside = (value, axis) => Math.min(1, Math.max(0, (value - bounds[axis][0]) / bounds[axis][1]));
  return ([x, y]) => [8 + inside(x, 0) * (SIZE - 16), SIZE - 8 - inside(y, 1) * (SIZE - 16)];
}

function dots(points, place) {
  return points
    .map(
      (point) =>
        `M${place(point)
          .map((value) => value.toFixed(1))
          .join(" ")}h0`,
    )
    .join("");
}
