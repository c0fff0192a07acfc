// One saved audience: its promise, its members, its export, and what became of it.

import { call, send } from "./api.js";
import { outcomePanel } from "./backtest.js";
import { $, h, show } from "./dom.js";
import { exportPanel } from "./export.js";
import { UserMap } from "./map.js";
import { people } from "./people.js";
import { counts, diagnostics, promise } from "./promise.js";
import { UNFINISHED } from "./saved.js";
import { isAbort, problemBox, tried } from "./told.js";
import { traits } from "./traits.js";

const AGAIN_MS = 700;
const SHOWN = 10;
const OUTDATED = "What moved their scores is told as long as the index that chose them answers; another does by now.";

export class Audience {
  async open(id) {
    this.close();
    this.running = new AbortController();
    this.id = id;
    show($("audience"), h("p", { class: "soft" }, "Loading …"));
    await this.look();
  }

  // A dialog that is left open would keep the whole page from answering.
  close() {
    clearTimeout(this.timer);
    this.running?.abort();
    for (const dialog of $("audience").querySelectorAll("dialog[open]")) dialog.close();
  }

  path(more = "") {
    return `v1/audiences/${encodeURIComponent(this.id)}${more}`;
  }

  async look() {
    const { signal } = this.running;
    try {
      const audience = await call("GET", this.path(), { signal });
      this.title(audience);
      if (UNFINISHED.includes(audience.status)) {
        show($("audience"), this.progress(audience));
        this.timer = setTimeout(() => this.look(), AGAIN_MS);
      } else if (audience.status === "ready") await this.ready(audience, signal);
      else
        show(
          $("audience"),
          audience.error ? problemBox(audience.error) : h("p", null, `This audience was ${audience.status}.`),
          this.remove(audience),
        );
    } catch (error) {
      if (!isAbort(error)) show($("audience"), problemBox(error));
    }
  }

  title(audience) {
    $("audience-title").textContent = audience.name;
    document.title = `${audience.name} – FOUND`;
  }

  progress(audience) {
    const problem = h("div");
    const cancel = async () => {
      await call("POST", this.path(":cancel"), { body: {} });
      await this.look();
    };
    const said = audience.status === "queued" ? "Waiting for its turn …" : "Being made …";
    return h(
      "div",
      { class: "panel", role: "status" },
      h("p", null, said),
      h("progress", { max: 1, value: audience.progress, "aria-label": "Progress" }),
      h("p", null, h("button", { type: "button", onclick: tried(cancel, { problem }) }, "Stop making it")),
      problem,
    );
  }

  async ready(audience, signal) {
    this.members = h("div", null, h("p", { class: "soft" }, "Loading …"));
    this.map = new UserMap();
    show(
      $("audience"),
      h(
        "div",
        { class: "columns" },
        h(
          "div",
          null,
          promise(audience),
          exportPanel(audience, this.path(), signal),
          outcomePanel(audience),
          traits(audience.why, "its members"),
        ),
        h(
          "div",
          null,
          diagnostics(audience),
          counts(audience),
          h("section", { class: "panel" }, h("h2", null, "Where they are"), this.map.element),
        ),
      ),
      h("section", { class: "panel wide" }, h("h2", null, "The first of them"), this.members),
      this.remove(audience),
    );
    $("versions").textContent = `Model ${audience.model_version}, index ${audience.collection} as of ${audience.ds}`;
    await Promise.all([this.people(audience, signal), this.lit(signal)]);
  }

  async people(audience, signal) {
    try {
      const first = await firstMembers(this.path("/members"), signal);
      show(this.members, people(first, { why: false }));
      if (!first.length) return;
      const why = await this.reasons(signal);
      if (why) show(this.members, people(first.map((each) => ({ ...each, reasons: why.get(each.user_id) }))));
      else this.members.append(h("p", { class: "soft small" }, OUTDATED));
    } catch (error) {
      if (!isAbort(error)) show(this.members, problemBox(error));
    }
  }

  // Why, as long as the index that chose them still answers.
  async reasons(signal) {
    try {
      const { data } = await call("GET", this.path("/reasons"), { query: { limit: SHOWN }, signal });
      return new Map(data.map((each) => [each.user_id, each.reasons]));
    } catch (error) {
      if (error.code === "audience_outdated") return null;
      throw error;
    }
  }

  async lit(signal) {
    try {
      await this.map.light(() => call("GET", this.path("/map"), { signal }));
    } catch (error) {
      if (!isAbort(error)) show(this.map.element, problemBox(error));
    }
  }

  remove(audience) {
    const problem = h("div");
    const name = h("input", { id: "new-name", value: audience.name, required: true, maxlength: 200 });
    const rename = async () => this.title(await call("PATCH", this.path(), { body: { name: name.value } }));
    const gone = async () => {
      await call("DELETE", this.path());
      location.hash = "#/saved";
    };
    const sure = h(
      "dialog",
      { "aria-labelledby": "sure" },
      h("p", { id: "sure" }, `Delete “${audience.name}” with its members and its promise? This cannot be undone.`),
      h(
        "p",
        { class: "actions" },
        h("button", { type: "button", class: "danger", onclick: tried(gone, { problem }) }, "Delete it"),
        h("button", { type: "button", onclick: () => sure.close() }, "Keep it"),
      ),
    );
    return h(
      "section",
      { class: "panel wide", "aria-label": "Name and removal" },
      h(
        "form",
        { class: "fields", onsubmit: tried(rename, { problem }) },
        h("div", { class: "field grow" }, h("label", { for: "new-name" }, "Name"), name),
        h("button", null, "Rename"),
        h("button", { type: "button", class: "danger", onclick: () => sure.showModal() }, "Delete …"),
      ),
      problem,
      sure,
    );
  }
}

// The first lines of the stream; the rest is not read.
async function firstMembers(path, signal) {
  const response = await send("GET", path, { query: { format: "jsonl" }, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (text.split("\n").length <= SHOWN) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
  }
  reader.cancel();
  return text
    .split("\n")
    .slice(0, SHOWN)
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
