// A sentence, live: how it is read, how many will do it, the slider, the map, the likeliest users.

import { call } from "./api.js";
import { $, h, show } from "./dom.js";
import { Figures } from "./figures.js";
import { UserMap } from "./map.js";
import { people } from "./people.js";
import { ownFilters, reading } from "./reading.js";
import { saveForm } from "./save.js";
import { isAbort, problemBox } from "./told.js";
import { TraitsOfSize } from "./traits.js";

const TYPING_MS = 450;
const MAP_MS = 700;
const FIRST_RANGE = 1_000;
const MOST_USERS = 16_384;
const MOST_LIT = 500;

export class Ask {
  constructor() {
    this.offer = { demands: [], columns: [], horizon_days: 0 };
    this.question = { demand: "", conditions: null, sentences: null, filters: [] };
    this.range = FIRST_RANGE;
    this.size = 0;
    this.map = new UserMap();
    this.traits = new TraitsOfSize((body, signal) => this.preview(body, signal));
    this.figures = new Figures({
      chosen: (size) => this.choose(size),
      refine: async (body) => {
        const answer = await this.preview(body, this.running.signal);
        this.traits.learn(answer);
        return answer;
      },
      further: (wanted) => this.further(wanted),
    });
    const box = $("demand");
    $("ask-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.typed(0);
    });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.typed(0);
    });
    box.addEventListener("input", () => this.typed(TYPING_MS));
  }

  open(offer) {
    this.offer = offer;
    const choose = (text) => {
      $("demand").value = text;
      this.typed(0);
    };
    const list = h(
      "ul",
      { class: "chips" },
      offer.demands.map(({ text, origin }) =>
        h(
          "li",
          null,
          h("button", { type: "button", class: "example", title: origin, onclick: () => choose(text) }, text),
        ),
      ),
    );
    this.suggested = h("details", { open: true }, h("summary", null, "This lake suggests"), list);
    show($("examples"), offer.demands.length > 0 && this.suggested);
  }

  // The next keystroke cancels what is on its way.
  typed(after) {
    const demand = $("demand").value.trim();
    if (after && demand === this.question.demand) return;
    clearTimeout(this.timer);
    this.running?.abort();
    this.traits.stop();
    this.question = { demand, conditions: null, sentences: null, filters: this.question.filters };
    this.range = FIRST_RANGE;
    if (demand || !after) this.timer = setTimeout(() => this.ask(), after);
    else {
      this.state("");
      $("answer").hidden = true;
      show($("ask-problem"));
    }
  }

  change(edited) {
    Object.assign(this.question, edited);
    this.ask();
  }

  further(wanted) {
    this.range = Math.min(Math.max(this.range * 4, wanted), MOST_USERS);
    this.ask();
  }

  body(more) {
    const { conditions, sentences, ...rest } = this.question;
    return { ...rest, ...(conditions && { conditions }), ...(sentences && { sentences }), ...more };
  }

  preview(more, signal) {
    return call("POST", "v1/audiences:preview", { body: this.body(more), signal });
  }

  async ask() {
    this.running?.abort();
    this.traits.stop();
    const { signal } = (this.running = new AbortController());
    this.state("Reading the sentence and ranking users …", true);
    try {
      const answer = await this.preview({ size: this.range }, signal);
      show($("ask-problem"));
      this.answered(answer);
      this.state("");
      await this.lit(signal);
    } catch (error) {
      if (isAbort(error)) return;
      this.state("");
      $("answer").hidden = true;
      const removable = ownFilters(this.question, (edited) => this.change(edited));
      show($("ask-problem"), problemBox(error), ...removable);
    }
  }

  answered(answer) {
    const { audience } = answer;
    const focused = $("answer").contains(document.activeElement) && document.activeElement;
    const whatUsers = h(
      "section",
      { class: "panel", "aria-labelledby": "read-title" },
      h("h2", { id: "read-title", tabindex: -1 }, "How it was read"),
      ...reading(audience, this.question, this.offer.columns, (edited) => this.change(edited)).filter(Boolean),
    );
    this.traits.begin(answer);
    this.figures.update(answer, this.offer, this.range, MOST_USERS);
    this.mapPanel = h(
      "section",
      { class: "panel", "aria-labelledby": "map-title" },
      h("h2", { id: "map-title" }, "Where they are"),
      this.map.element,
    );
    show(
      $("answer"),
      h(
        "div",
        { class: "columns" },
        h(
          "div",
          null,
          this.figures.element,
          answer.size > 0 && saveForm(() => this.body({ size: this.figures.size })),
          answer.size > 0 && this.traits.element,
        ),
        h("div", null, whatUsers, this.mapPanel),
      ),
      h(
        "section",
        { class: "panel wide", "aria-labelledby": "people-title" },
        h("h2", { id: "people-title" }, "The likeliest of them"),
        people(audience.users),
      ),
    );
    $("answer").hidden = false;
    if (focused) this.focusAgain(focused);
    if (this.suggested) this.suggested.open = false;
    $("versions").textContent = `Model ${audience.model_version}, index ${audience.collection} as of ${audience.ds}`;
  }

  // A new answer stands in the place of the one that had the focus.
  focusAgain(element) {
    element.focus();
    if (document.activeElement !== element) $("read-title").focus();
  }

  choose(size) {
    this.size = size;
    this.map.draw(Math.min(size, MOST_LIT));
    this.traits.choose(size);
  }

  // The map costs a ranking of its own, so it waits until nobody types.
  async lit(signal) {
    await new Promise((done) => setTimeout(done, MAP_MS));
    if (signal.aborted) return;
    const size = Math.min(this.range, MOST_LIT);
    try {
      await this.map.light(() => call("POST", "v1/map", { body: this.body({ size }), signal }));
      this.map.draw(Math.min(this.figures.size, MOST_LIT));
    } catch (error) {
      if (!isAbort(error)) show(this.map.element, problemBox(error));
    }
  }

  state(text, busy = false) {
    $("ask-state").textContent = text;
    $("answer").setAttribute("aria-busy", String(busy));
    document.body.classList.toggle("busy", busy);
  }
}
