// What a key does. Lightroom's keys where it has one. The page's HTML lists them under "?".

const PLAIN = {
	p: "pick", x: "reject", u: "undecide", t: "tag", n: "undecided", z: "zoom", c: "compare", g: "grid", i: "info",
	d: "differs", w: "wall", o: "overview", m: "more", r: "retry", e: "export", "/": "filter", "?": "help", ".": "refresh",
	" ": "mark", Enter: "open", Escape: "back", Delete: "reject", "+": "larger", "=": "larger", "-": "smaller",
	ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", Home: "first", End: "last",
	PageUp: "pageUp", PageDown: "pageDown", Backspace: "left",
};
const SHIFT = {
	p: "only", x: "none", g: "groups", "?": "help", "+": "larger",
	ArrowLeft: "panLeft", ArrowRight: "panRight", ArrowUp: "panUp", ArrowDown: "panDown",
};

// The action of a key event, "" for none.
export function action({ key, shiftKey, ctrlKey, metaKey, altKey }) {
	if (altKey) return "";
	if (ctrlKey || metaKey) return key.toLowerCase() === "z" && !shiftKey ? "undo" : "";
	if (/^[0-5]$/.test(key)) return `stars${key}`;
	return (shiftKey ? SHIFT : PLAIN)[key.length === 1 ? key.toLowerCase() : key] || "";
}
