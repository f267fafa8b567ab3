// Elements and words. Text from outside only ever becomes text.

export const $ = (id) => document.getElementById(id);
// name: "div", or with classes "div.head row".
export function h(name, facts = {}, ...inside) {
	const [tag, classes = ""] = name.split("."), element = document.createElement(tag);
	element.className = classes;
	for (const [key, value] of Object.entries(facts)) {
		if (key === "style") Object.assign(element.style, value);
		else if (value || value === 0) element.setAttribute(key, value);
	}
	return clear(element, inside);
}
export function clear(element, ...inside) {
	element.replaceChildren(...inside.flat(9).filter((one) => one || one === 0));
	return element;
}

// Puts facts where the HTML asks for them: data-text words, data-if shown where there is one, data-value an input.
export function fill(root, facts) {
	for (const one of root.querySelectorAll("[data-text]:not(.gap *), [data-if], [data-value]")) {
		const { text, if: wanted, value } = one.dataset, words = facts[text] ?? "";
		if (text) one.textContent = typeof words === "number" ? number(words) : words;
		if (wanted) one.hidden = !facts[wanted];
		if (value && one !== document.activeElement) one.value = facts[value] ?? "";
	}
}

// A filled copy of a template of the HTML.
export function copy(id, facts = {}) {
	const element = $(id).content.firstElementChild.cloneNode(true);
	fill(element, facts);
	return element;
}
export function icon(name) {
	const svg = copy("icon");
	svg.firstChild.setAttribute("href", `#${name}`);
	return svg;
}
export const button = (label, act, facts) => h("button", { type: "button", "data-act": act, ...facts }, label);
export const problem = ({ message, hint }) => h("p.problem", { role: "alert" }, message, hint && h("span", {}, ` ${hint}`));
export const command = (line) => copy("command", { line });

export const number = (value) => Number(value).toLocaleString("en-US");
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
export const join = (...parts) => parts.filter(Boolean).join(" · ");
