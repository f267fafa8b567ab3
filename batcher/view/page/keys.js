// Keys and what they do. Lightroom's where it has one.

export const KEYS = [
  ["Choose", [
    ["P", "pick", "Pick, and go on"], ["X", "reject", "Reject, and go on"], ["U", "undecide", "Undecided"],
    ["Shift+P", "only", "This one, not the others of its group; next group"],
    ["Shift+X", "none", "None of this group; next group"],
    ["0 – 5", "stars", "Stars"], ["T", "tag", "Tags"], ["Space", "mark", "Mark several"], ["Ctrl+Z", "undo", "Undo, without end"],
  ]],
  ["Move", [
    ["← →", "", "Within the group"], ["↑ ↓", "", "Groups, rows"], ["N", "undecided", "Next undecided"],
    ["Home End", "", "First, last"], ["PgUp PgDn", "", "A screen"], ["Esc", "back", "Back"],
  ]],
  ["Look", [
    ["Enter", "open", "Loupe"], ["Z", "zoom", "100 %"], ["C", "compare", "Compare 2 to 4"], ["G", "grid", "Grid of this prompt"],
    ["I", "info", "Inputs and cost"], ["D", "differs", "Only what differs"], ["W", "wall", "Wall"],
    ["Shift+G", "groups", "Groups"], ["O", "overview", "Overview"], ["+ −", "size", "Larger, smaller"],
  ]],
  ["Do", [
    ["M", "more", "More seeds"], ["R", "retry", "Retry what failed"], ["E", "export", "Export"], ["/", "filter", "Search, filter"],
    [".", "refresh", "Show what is new"], ["?", "help", "These keys"],
  ]],
];

const PLAIN = {
  p: "pick", x: "reject", u: "undecide", t: "tag", n: "undecided", z: "zoom", c: "compare", g: "grid", i: "info",
  d: "differs", w: "wall", o: "overview", m: "more", r: "retry", e: "export", "/": "filter", "?": "help", ".": "refresh",
  " ": "mark", Enter: "open", Escape: "back", Delete: "reject", "+": "larger", "=": "larger", "-": "smaller",
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", Home: "first", End: "last",
  PageUp: "pageUp", PageDown: "pageDown", Backspace: "left",
};
const SHIFT = { P: "only", X: "none", G: "groups", "?": "help", "+": "larger",
  ArrowLeft: "panLeft", ArrowRight: "panRight", ArrowUp: "panUp", ArrowDown: "panDown" };

// The action of a key event, "" for none. { key, shiftKey, ctrlKey, metaKey, altKey }.
export function action(event) {
  const { key } = event;
  if (event.altKey) return "";
  if (event.ctrlKey || event.metaKey) return key.toLowerCase() === "z" && !event.shiftKey ? "undo" : "";
  if (/^[0-5]$/.test(key)) return `stars${key}`;
  if (event.shiftKey) return SHIFT[key.length === 1 ? key.toUpperCase() : key] || "";
  return PLAIN[key.length === 1 ? key.toLowerCase() : key] || "";
}
