// The only way to the server: JSON in and out, problems as errors, the key of this tab.

const KEY = "found-key";

export class Problem extends Error {
  constructor({ title, detail, hint, code, status }) {
    super(detail);
    Object.assign(this, { title, detail, hint, code, status });
  }
}

export const hasKey = () => Boolean(sessionStorage.getItem(KEY));
export const useKey = (key) => sessionStorage.setItem(KEY, key);

export async function call(method, path, { body, query, signal, type = "application/json" } = {}) {
  const response = await send(method, path, { body, query, signal, type });
  return response.json();
}

export async function send(method, path, { body, query, signal, type = "application/json" } = {}) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = type;
  const url = query ? `${path}?${new URLSearchParams(query)}` : path;
  const sent = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  let response;
  try {
    response = await fetch(url, { method, headers, body: sent, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      title: "No answer",
      detail: "the server does not answer.",
      hint: "Is it running (`found serve`), and are you online?",
      code: "no_answer",
    });
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401) document.dispatchEvent(new CustomEvent("key-wanted", { detail: problem }));
  throw problem;
}

async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  return new Problem({
    title: told.title || response.statusText || "Refused",
    detail: told.detail || `the server answered ${response.status}.`,
    hint: told.hint || "See the server's log.",
    code: told.code || "",
    status: response.status,
  });
}

// A file of the server, saved under a name; through fetch, since a link would carry no key.
export async function download(path, query, name) {
  const response = await send("GET", path, { query });
  const url = URL.createObjectURL(await response.blob());
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
