// Elements and words. Text from outside only ever becomes text.

export function h(name, facts, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(facts || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...inside.flat(9).filter((one) => one || one === 0));
  return element;
}

export function s(name, facts, ...inside) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(facts || {})) element.setAttribute(key, value);
  element.append(...inside.flat());
  return element;
}

const PATHS = {
  check: "M5 12.5l4.5 4.5L19 7", cross: "M6 6l12 12M18 6L6 18", back: "M15 5l-7 7 7 7", forth: "M9 5l7 7-7 7",
  info: "M12 11v6M12 7.5v.01M12 3a9 9 0 100 18 9 9 0 000-18z", retry: "M20 11a8 8 0 10-2.3 6.3M20 5v6h-6", copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  search: "M11 4a7 7 0 100 14 7 7 0 000-14zM16.5 16.5L21 21", star: "M12 3.5l2.6 5.4 5.9.8-4.3 4.1 1 5.9-5.2-2.8-5.2 2.8 1-5.9L3.5 9.7l5.9-.8z",
  zoom: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5", columns: "M4 5h7v14H4zM13 5h7v14h-7z", plus: "M12 5v14M5 12h14",
};
export function icon(name) {
  return s("svg", { viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true" }, s("path", { d: PATHS[name] }));
}

export function button(label, onclick, facts = {}, ...inside) {
  return h("button", { type: "button", onclick, ...(inside.length ? { "aria-label": label, title: label } : {}), ...facts },
    ...(inside.length ? inside : [label]));
}

// A command line, to be copied.
export function command(text) {
  const copy = button("Copy", async () => {
    try { await navigator.clipboard.writeText(text); copy.replaceChildren(icon("check")); } catch { getSelection().selectAllChildren(code); }
  }, { class: "quiet small" }, icon("copy"));
  const code = h("code", {}, text);
  return h("div", { class: "command" }, code, copy);
}

export function clear(element, ...inside) { element.replaceChildren(...inside.flat(9).filter(Boolean)); return element; }

export const number = (value) => Number(value).toLocaleString("en-US");
export const usd = (value) => value === null || value === undefined ? "unknown"
  : `$${Number(value).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: value && value < 1 ? 4 : 2 })}`;
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) { count /= 1000; at++; }
  return `${count < 10 && at ? count.toFixed(1) : Math.round(count)} ${units[at]}`;
}
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}
export const quote = (text) => /^[\w@%+=:,./-]+$/.test(text) ? text : `'${String(text).replaceAll("'", `'"'"'`)}'`;
