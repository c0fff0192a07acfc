// The members of a saved audience: as a file of this browser, and to a receiver's address where the server sends any.

import { call, download } from "./api.js";
import { h, show } from "./dom.js";
import { UNFINISHED } from "./saved.js";
import { isAbort, problemBox, tried } from "./told.js";
import { dayOf, sentence, users } from "./words.js";

const AGAIN_MS = 1_000;
const FORMATS = [
  ["csv", "CSV"],
  ["parquet", "Parquet"],
  ["jsonl", "JSON lines"],
];
const SAID = { queued: "waiting", running: "being sent", delivered: "delivered", failed: "not delivered" };

// `path` leads to the audience, `signal` says when nobody looks any more.
export function exportPanel(audience, path, signal) {
  const problem = h("div");
  const receivers = h("div");
  const save = async (event, format) => {
    event.target.disabled = true;
    show(problem);
    try {
      await download(`${path}/members`, { format }, `${audience.id}.${format}`);
    } catch (error) {
      show(problem, problemBox(error));
    } finally {
      event.target.disabled = false;
    }
  };
  offer(receivers, `${path}/exports`, signal);
  const held = audience.held_out ? ` without the ${users(audience.held_out)} held out` : "";
  return h(
    "section",
    { class: "panel", "aria-labelledby": "export-title" },
    h("h2", { id: "export-title" }, "Export"),
    h("p", { class: "soft" }, `${users(audience.size - audience.held_out)}, best first${held}.`),
    h(
      "p",
      { class: "actions" },
      FORMATS.map(([format, name]) => h("button", { type: "button", onclick: (event) => save(event, format) }, name)),
    ),
    problem,
    receivers,
  );
}

// Nothing where the server sends no exports, or not for this key.
async function offer(place, path, signal) {
  try {
    const { enabled, hosts } = await call("GET", "v1/receivers", { signal });
    if (!enabled) return;
    const sent = h("ul", { class: "plain", role: "status", "aria-label": "What was sent" });
    show(place, sendForm(hosts, path, () => follow(sent, path, signal)), sent);
    await follow(sent, path, signal);
  } catch (error) {
    if (!isAbort(error) && error.status !== 403) show(place, problemBox(error));
  }
}

function sendForm(hosts, path, sent) {
  const url = h("input", {
    id: "export-url",
    type: "url",
    required: true,
    maxlength: 2000,
    value: `https://${hosts[0]}/`,
    "aria-describedby": "export-help",
  });
  const format = h(
    "select",
    { id: "export-format" },
    FORMATS.map(([value, name]) => h("option", { value }, name)),
  );
  const problem = h("div");
  const button = h("button", null, "Send");
  const send = async () => {
    await call("POST", path, { body: { url: url.value, format: format.value } });
    await sent();
  };
  return h(
    "form",
    { class: "send", onsubmit: tried(send, { problem, button }), "aria-label": "Send to a receiver" },
    h(
      "div",
      { class: "fields" },
      h("div", { class: "field grow" }, h("label", { for: "export-url" }, "Or send them to"), url),
      h("div", { class: "field" }, h("label", { for: "export-format" }, "As"), format),
      button,
    ),
    h("p", { class: "soft small", id: "export-help" }, `Signed, by this server, to ${hosts.join(", ")}.`),
    problem,
  );
}

// What was sent, looked at again until each has arrived or been given up.
async function follow(list, path, signal) {
  const { data } = await call("GET", path, { signal });
  show(list, data.map(line));
  if (data.some((each) => UNFINISHED.includes(each.status))) {
    await new Promise((done) => setTimeout(done, AGAIN_MS));
    if (!signal.aborted) await follow(list, path, signal);
  }
}

function line({ created_at, url, format, status, attempts, error }) {
  const tries = attempts > 1 ? ` after ${attempts} attempts` : "";
  return h(
    "li",
    null,
    h("b", null, SAID[status]),
    `${tries}: ${Object.fromEntries(FORMATS)[format]} to `,
    h("span", { class: "address" }, url),
    h("span", { class: "soft small" }, ` · ${dayOf(created_at)}${error ? ` · ${sentence(error)}` : ""}`),
  );
}
