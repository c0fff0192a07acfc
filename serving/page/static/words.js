// Numbers and days as people of the reader's language write them.

const language = navigator.language || "en";
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
const times = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

export const count = (value) => whole.format(value);
export const users = (value) => `${count(value)} ${value === 1 ? "user" : "users"}`;
export const factor = (value) => `${times.format(value)}×`;

// Small shares keep a decimal, so that 0.4 % is not 0 %.
export const percent = (value) => (value < 0.0995 ? fine : share).format(value);

export const dayOf = (iso) => day.format(new Date(`${iso.slice(0, 10)}T00:00:00Z`));

export function windowOf(audience) {
  if (!audience.ds) return "";
  const after = (days) => new Date(Date.parse(`${audience.ds}T00:00:00Z`) + days * 86_400_000);
  const [first, end] = [audience.gap_days, audience.gap_days + audience.horizon_days - 1];
  return `${day.format(after(first))} to ${day.format(after(end))}`;
}

// What an audience was made from, where no sentence was given.
export function madeFrom({ kind, request }) {
  if (kind === "lookalike") return "a list of users";
  return (request.sentences ?? []).map(({ text }) => text).join("; ") || "no sentence";
}

// A sentence of the server, as one: "too vague: ..." becomes "Too vague: ... ."
export function sentence(text) {
  const told = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(told) ? told : `${told}.`;
}
