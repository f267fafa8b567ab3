// Elements and words. Text from outside only ever becomes text.

export const $ = (id) => document.getElementById(id);
const SVG = new Set(["svg", "use", "rect"]);

export function h(name, facts, ...inside) {
  const element = SVG.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(facts || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else element.setAttribute(key, value === true ? "" : value);
  }
  return clear(element, inside);
}
export function clear(element, ...inside) { element.replaceChildren(...inside.flat(9).filter((one) => one || one === 0)); return element; }

// Puts facts where the HTML asks for them: data-text: words; data-if: shown where there is one; data-value: an input.
export function fill(root, facts) {
  for (const one of root.querySelectorAll("[data-text]")) one.textContent = facts[one.dataset.text] ?? "";
  for (const one of root.querySelectorAll("[data-if]")) one.hidden = !facts[one.dataset.if];
  for (const one of root.querySelectorAll("[data-value]")) if (one !== document.activeElement) one.value = facts[one.dataset.value] ?? "";
}

export const icon = (name) => h("svg", { viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true" }, h("use", { href: `#${name}` }));
export const button = (label, act, facts = {}, ...inside) =>
  h("button", { type: "button", ...(typeof act === "string" ? { "data-act": act } : { onclick: act }), ...facts }, inside.length ? inside : label);
export const problem = ({ message, hint }) => h("p", { class: "problem", role: "alert" }, message, hint && h("span", {}, ` ${hint}`));
export const command = (text) => h("div", { class: "command" }, h("code", {}, text), button("", "copy", { class: "quiet small", "aria-label": "Copy" }, icon("copy")));

export const number = (value) => Number(value).toLocaleString("en-US");
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
export const join = (...parts) => parts.filter(Boolean).join(" · ");
export const plain = (name) => name.replaceAll("_", " ");
