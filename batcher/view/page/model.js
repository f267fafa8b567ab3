// What the page knows of a run, without any DOM: items (pictures, and jobs that have none), their groups and prompts,
// verdicts, flags. An item is named by its index, i.

const NAMES = [..."nksgrcwhvtdeoq"];
const OUTPUTS = 1000;
const NOTHING = Object.freeze({ pick: null, stars: null, tags: [], note: null });

export const col = {};  // the items, a column a letter: columns.py says which
export const prompts = [];  // [text, id]
export const groups = [];  // [prompt, label]
export const troubles = [];  // [words, why]
export const axes = {};
export const facts = {};  // the numbers of the overview
export const verdicts = new Map();  // by "key.output"
export const unsaved = new Set();  // those that are on their way: what the server says of them is older
export const flags = new Map();
export const broken = new Map();  // by index: what is wrong with a picture that can't be shown
const TABLES = { prompts, groups, troubles };
const indexes = new Map();  // by number
let made = {};  // of all items, when it is asked for

// What is shown of it. list: indexes, in order; place: where each stands in it.
export const page = { current: -1, list: [], place: new Map(), marks: new Set(), opened: [], view: "", show: "", sort: "", q: "" };

export function reset() {
	for (const name of NAMES) col[name] = [];
	for (const one of Object.values(TABLES)) one.length = 0;
	for (const one of [indexes, verdicts, flags, broken, page.marks]) one.clear();
	made = {};
}
reset();

// A message of the server. Returns indexes: changed (items, verdicts, flags), and fresh ones.
export function take({ tables, items, picks = [], flags: flagged = [], ...rest }) {
	const changed = [], fresh = [];
	const touch = (name) => { if (names().has(name)) changed.push(names().get(name)); };
	Object.assign(axes, rest.axes);
	Object.assign(facts, rest.facts);
	for (const name in tables) {
		const [from, rows] = tables[name];
		rows.forEach((row, at) => { TABLES[name][from + at] = row; });
	}
	if (items) {
		const isFirst = !size();
		if (isFirst) Object.assign(col, items);
		items.n.forEach((number, row) => {
			const i = indexes.get(number) ?? indexes.size;
			(indexes.has(number) ? changed : fresh).push(i);
			indexes.set(number, i);
			if (!isFirst) for (const name of NAMES) col[name][i] = items[name][row];
			broken.delete(i);
		});
		made = {};
	}
	for (const [job, output, pick, stars, tags, note, sha] of picks) {
		const name = `${job}.${output}`;
		if (unsaved.has(name)) continue;
		verdicts.set(name, { pick, stars, tags, note, sha });
		touch(name);
	}
	for (const [job, output, words] of flagged) {
		flags.set(`${job}.${output}`, words);
		touch(`${job}.${output}`);
	}
	return { changed, fresh };
}

const make = (name, how) => made[name] ||= how();
const names = () => make("names", () => new Map(col.n.map((_, i) => [name(i), i])));
// All items in the order of the manifest, and with those of one group behind each other.
export const order = () => make("order", () => col.n.map((_, i) => i).sort((a, b) => col.o[a] - col.o[b] || col.n[a] - col.n[b]));
const byGroup = () => make("byGroup", () => [...new Set(order().map(prompt))].flatMap(groupsOf).flatMap(members));
export const members = (group) => make("members", () => Object.groupBy(order(), (i) => col.g[i]))[group] || [];
export const groupsOf = (prompt) => make("groupsOf", () => Object.groupBy(groups.keys(), (group) => groups[group][0]))[prompt];

export const size = () => col.n.length;
export const output = (i) => col.n[i] % OUTPUTS;
export const name = (i) => `${col.k[i]}.${output(i)}`;
export const find = (job, output) => names().get(`${job}.${output}`);
export const isPicture = (i) => col.s[i] === "d" && col.v[i] !== "";
// The state that `retry` names; empty for none.
export const retried = (i) => isPicture(i) && !broken.has(i) ? "" : { f: "failed", c: "cancelled", x: "in_doubt", d: "missing" }[col.s[i]];
export const ratio = (i) => Math.min(4, Math.max(0.25, col.w[i] / col.h[i]));
export const prompt = (i) => groups[col.g[i]][0];
export const text = (i) => prompts[prompt(i)][0];
// What tells it from the others of its prompt.
export const label = (i) => [groups[col.g[i]][1], col.q[i] !== null && `seed ${col.q[i]}`].filter(Boolean).join(" · ");
// Why there is nothing to see: [words, why].
export const trouble = (i) => broken.get(i) || troubles[col.e[i]];
export const flagsOf = (i) => flags.size && flags.get(name(i)) || [];

// The verdict on this very picture: one on what was there before it was made anew does not count.
export function verdict(i) {
	const one = verdicts.size && verdicts.get(name(i));
	return one && !(one.sha && col.v[i] && one.sha !== col.v[i]) ? one : NOTHING;
}
export const pick = (i) => verdict(i).pick;

// keepers: how many are picked. open: pictures without a verdict. state: kept, open, none, empty.
export function standing(group) {
	const picks = members(group).filter(isPicture).map(pick), count = (one) => picks.filter((pick) => pick === one).length;
	const keepers = count("yes"), open = count(null);
	return { keepers, open, state: keepers ? "kept" : open ? "open" : picks.length ? "none" : "empty" };
}
function tally(all) {
	const sums = {};
	for (const one of all) sums[one] = (sums[one] || 0) + 1;
	return sums;
}
export const groupCounts = () => tally([...groups.keys()].map((group) => standing(group).state));

// The lists that an item is in.
function kinds(i) {
	if (!isPicture(i)) return [retried(i) ? "failed" : "waiting"];
	const { pick, stars } = verdict(i);
	return ["pictures", { yes: "picked", no: "rejected" }[pick] || "undecided", stars > 0 && "starred", flagsOf(i).length && "flagged"];
}
export const wanted = ({ view, show }) => show || (view === "wall" ? "arrived" : "");
export const shows = (show, i) => !show || (show === "arrived" ? !"pqr".includes(col.s[i]) : kinds(i).includes(show));
export const counts = () => ({ "": size(), ...tally(order().flatMap(kinds)) });

// What a view shows: a snapshot. words: of a search. among: numbers of items that a filter means. only: of one prompt.
export function list({ view, show, sort, words = "", among, only }) {
	const parts = words.toLowerCase().split(/\s+/).filter(Boolean), isWall = view === "wall", kind = wanted({ view, show });
	const hits = parts.length && prompts.map((one) => parts.every((part) => one.join(" ").toLowerCase().includes(part)));
	const shown = (isWall ? order() : byGroup()).filter((i) => (only === undefined || prompt(i) === only) && (!hits || hits[prompt(i)])
		&& (!among || among.has(col.n[i])) && shows(kind, i));
	const by = {
		newest: (a, b) => col.t[b] - col.t[a],
		slowest: (a, b) => col.d[b] - col.d[a],
		stars: (a, b) => verdict(b).stars - verdict(a).stars,
		prompt: (a, b) => text(a).localeCompare(text(b)),
	}[sort];
	return by && isWall ? shown.sort(by) : shown;
}

// The verdicts of a decision on one picture: [[i, pick], ...].
export function decision(i, action) {
	const all = members(col.g[i]).filter(isPicture);
	if (action === "only") return all.map((one) => [one, one === i ? "yes" : "no"]);
	if (action === "none") return all.map((one) => [one, "no"]);
	return [[i, { pick: "yes", reject: "no", undecide: null }[action]]];
}

// The first place behind this one, around the end of the list, that fits; -1 for none.
function around(list, place, fits) {
	for (let step = 1; step <= list.length; step++) if (fits(list[(place + step) % list.length])) return (place + step) % list.length;
	return -1;
}
// The place to go to behind a decision; -1 for nowhere.
export function next(list, place, action) {
	const group = col.g[list[place]];
	if (action !== "only" && action !== "none") return list.findIndex((i, at) => at > place && isPicture(i));
	const open = around(list, place, (i) => col.g[i] !== group && isPicture(i) && standing(col.g[i]).open);
	return open >= 0 ? open : list.findIndex((i, at) => at > place && col.g[i] !== group);
}
export const nextUndecided = (list, place) => around(list, place, (i) => isPicture(i) && !pick(i));

// The place in the group above (-1) or below (1), as far from its first one as goal, which is how far this one is unless
// given; in a shorter group the last. Returns both.
export function vertical(list, place, step, goal) {
	const isIn = (group) => (i) => col.g[i] === group, own = isIn(col.g[list[place]]);
	goal ??= place - list.findIndex(own);
	let to = place;
	while (to in list && own(list[to])) to += step;
	if (!(to in list)) return [place, goal];
	const other = isIn(col.g[list[to]]);
	return [Math.min(list.findIndex(other) + goal, list.findLastIndex(other)), goal];
}

// Pictures to compare with this one: the marked ones, else those of its group that are not rejected; 2 to 4.
export function toCompare(i, marks) {
	const marked = [...marks].filter(isPicture), group = members(col.g[i]).filter(isPicture);
	if (marked.length > 1) return marked.slice(0, 4);
	const wanted = group.filter((one) => one === i || pick(one) !== "no");
	return near(wanted.length > 1 ? wanted : group, i, 4);
}
// So many of a list, with one of them in the middle where that can be.
export function near(list, one, count) {
	const from = Math.max(0, Math.min(list.indexOf(one) - (count >> 1), list.length - count));
	return list.slice(from, from + count);
}

// Whether a text in the box is a filter or words to search for.
export const isFilter = (text) => /[=<>]|\bflag:\w|^\s*not\s|["')\]]\s+in\s|\bin\s*[(["']/.test(text);
