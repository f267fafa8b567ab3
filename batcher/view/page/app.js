// The page: what is shown, what a key or a button does, what the address says.

import { $, button, clear, copy, h, number, plural, problem } from "./dom.js";
import { action } from "./keys.js";
import * as loupe from "./loupe.js";
import * as model from "./model.js";
import * as net from "./net.js";
import { draw } from "./overview.js";
import * as panel from "./panel.js";
import * as wall from "./wall.js";
import { where } from "./where.js";

const WORDS = { pick: "Picked", reject: "Rejected", undecide: "Undecided", only: "Picked; the others rejected", none: "None kept" };
const VIEWS = ["overview", "groups", "grid", "wall"];
const { col, facts, page } = model, { isStatic, kept, saved } = net, root = $("app"), box = $("box");
const fresh = new Set();  // what came and is not shown yet
const timers = {};
let about, among, goal, side = "";

page.size = Number(saved("size")) || 220;
$("moves-on").checked = saved("stay") !== "1";

async function start() {
	try {
		await net.signIn();
		about = await net.get("runs");
	} catch (error) { return fail(error); }
	const { many, runs } = about, name = address().run || (many ? "" : runs[0].name);
	page.readOnly = about.read_only;
	if (!name) return home(runs);
	addEventListener("popstate", () => read());
	net.choose(page.run = name);
	document.title = `${name} · batcher`;
	$("run").textContent = name;
	if (many) $("brand").href = location.pathname;
	if (isStatic) root.dataset.static = "";
	await load();
	net.follow(take, (link) => {
		if (root.dataset.link === "gone" && link !== "gone") wall.lay();  // asks again for what did not come
		root.dataset.link = link;
	});
}
async function load() {
	try {
		const index = await net.index();
		model.reset();
		model.take(index);
		if (isStatic) model.take({ picks: kept.picks() });
		trouble(index.notice);
		read(true);
	} catch (error) { (model.size() ? trouble : fail)(error); }
}
const trouble = (error) => clear($("trouble"), error && problem(error));
const fail = (error) =>
	clear(root, h("main.message", {}, h("h1", {}, "batcher"), problem(error), button("Try again", "reload")));
function home(runs) {
	addEventListener("hashchange", () => location.reload());
	clear(root, h("main.home", {}, h("h1", {}, "Runs"), h("ul.runs", {}, runs.map((one) => {
		const line = copy("one-run", one);
		line.firstChild.href = `#run=${encodeURIComponent(one.name)}`;
		if (one.cover) line.querySelector("img").src = one.cover;
		return line;
	}))));
}

// The address holds the view.
const address = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const firstView = () => model.size() > model.groups.length ? "groups" : "wall";
function read(isFirst) {
	const { view, show = "", sort = "", q = "", at = "", open } = address();
	Object.assign(page, { view: VIEWS.includes(view) ? view : facts.going ? "overview" : firstView(), show, sort, q });
	box.value = q;
	page.current = (at ? model.find(...at.split(".")) : null) ?? (isFirst ? -1 : page.current);
	arrange(true).then(() => {
		const { current, marks } = page;
		loupe.show(current < 0 || !open ? [] : open === "compare" ? model.toCompare(current, marks) : [current]);
		write(true);
	});
}
function write(replace) {
	const { view, show, sort, q, opened, current } = page;
	const all = {
		run: about.many && page.run, view, show, sort, q, open: ["", "loupe"][opened.length] ?? "compare",
		at: current >= 0 && view !== "overview" && model.name(current),
	};
	const hash = `#${new URLSearchParams(Object.entries(all).filter(([, value]) => value))}`;
	if (hash !== location.hash) history[replace ? "replaceState" : "pushState"](null, "", hash);
}
async function go(changes, ask) {
	Object.assign(page, changes);
	loupe.show([]);
	await arrange(ask);
	write();
}
async function filter(text) {
	await go({ q: text.trim(), view: page.view === "overview" ? "wall" : page.view }, true);
	if (!$("wrong").childNodes.length) focus();
}
// The numbers of items that the filter means.
async function meant() {
	try {
		if (isStatic) { const test = where(page.q); return new Set(col.n.filter((_, i) => test((name) => net.valueOf(i, name)))); }
		const { items, warnings } = await net.get(`where?q=${encodeURIComponent(page.q)}`);
		clear($("wrong"), warnings.map((message) => problem({ message })));
		return new Set(items);
	} catch (error) {
		clear($("wrong"), problem(error));
		return new Set();
	}
}

// Makes the list of the view anew. ask: also what the filter means.
async function arrange(ask) {
	const { view, show, sort, q } = page, isWords = !model.isFilter(q);
	if (ask || isWords) among = isWords ? null : await meant();
	root.dataset.view = view;
	fresh.clear();
	$("pill").hidden = true;
	for (const tab of $("tabs").children) tab.ariaCurrent = tab.dataset.act === view ? "page" : null;
	$("order").value = sort;
	if (view !== "overview" && model.size()) {
		const only = view === "grid" ? model.prompt(page.current >= 0 ? page.current : model.order()[0]) : undefined;
		const list = model.list({ view, show, sort, words: isWords ? q : "", among, only });
		if (!list.includes(page.current)) page.current = list[model.nextUndecided(list, -1)] ?? list[0] ?? page.current;
		if (view === "grid") $("heading").textContent = model.prompts[only][0];
		wall.show(list, view);
		focus(document.activeElement !== box);
	}
	$("empty").hidden = page.list.length > 0;
	$("nothing").textContent = model.size() ? "Nothing fits" : "No images yet: they appear here as they arrive";
	status();
	details();
}
const focus = (really) => wall.reveal(place(), really);

function status() {
	const { going, done, total, control } = facts, counts = model.counts();
	for (const chip of $("chips").children) {
		const { show } = chip.dataset;
		chip.hidden = show !== page.show && !counts[show];
		chip.ariaPressed = show === page.show;
		chip.lastChild.textContent = number(counts[show] || 0);
	}
	clear($("live"), going && [h(`i.dot ${control?.paused ? "paused" : "running"}`), `${number(done)} / ${number(total)}`]);
	if (page.view === "overview") draw(reopen);
}
// Once, after so many milliseconds in which it was not asked for again.
function soon(name, wait, what) {
	clearTimeout(timers[name]);
	timers[name] = setTimeout(what, wait);
}

// What came from the server. Nothing that is looked at moves.
function take(message) {
	if (message.reset) return load();
	if (message.problem) return trouble(message.problem);
	const { changed, fresh: came } = model.take(message);
	seen(changed);
	const isHere = (i) => page.view !== "grid" || page.current < 0 || model.prompt(i) === model.prompt(page.current);
	for (const i of [...changed, ...came]) if (!page.place.has(i) && model.shows(model.wanted(page), i) && isHere(i)) fresh.add(i);
	if (fresh.size && !page.list.length) arrange();
	$("pill").hidden = !fresh.size || page.view === "overview";
	$("pill").textContent = `${number(fresh.size)} new`;
}
function seen(indexes) {
	wall.refresh(indexes);
	if (indexes.length) loupe.refresh();
	soon("status", model.size() > 20000 ? 600 : 120, status);
}

const place = () => page.place.get(page.current);
function choose(i, column) {
	const before = page.current, { opened } = page;
	page.current = i;
	goal = column;
	wall.refresh([before, i]);
	if (page.view === "grid" && !page.place.has(i)) arrange(); else focus(!opened.length);
	if (opened.length) loupe.show(opened.includes(i) ? opened : [i]);
	details();
	soon("write", 250, () => write(true));
}
const goTo = (at, column) => { if (at in page.list) choose(page.list[at], column); };
function mark(i) {
	if (!page.marks.delete(i)) page.marks.add(i);
	wall.refresh([i]);
	say(page.marks.size ? `${plural(page.marks.size, "image")} marked` : "No marks");
}
function details() {
	const { current } = page;
	$("side").hidden = !side || current < 0 || page.view === "overview";
	soon("details", 60, async () => { if (!$("side").hidden) clear($("details"), await panel[side](current).catch(problem)); });
}
function say(words, undo) {
	clear($("toast"), h("span", {}, words), undo && button("Undo", "undo", { class: "quiet small", tabindex: "-1" }));
	soon("toast", 4000, () => clear($("toast")));
}

// Verdicts: [[i, changes], ...]; shown at once, taken back where they could not be written.
async function decide(pairs, words) {
	if (page.readOnly) return say("Opened with --read-only");
	const before = [], verdicts = [];
	for (const [i, changes] of pairs) {
		const was = model.verdict(i), now = { ...was, ...changes, sha: col.v[i] }, name = model.name(i);
		if (!model.isPicture(i) || Object.keys(changes).every((key) => `${now[key]}` === `${was[key]}`)) continue;
		before.push([name, was]);
		verdicts.push({ ...now, job: col.k[i], output_index: model.output(i) });
		model.verdicts.set(name, now);
		model.unsaved.add(name);
	}
	if (!verdicts.length) return;
	const changed = pairs.map(([i]) => i);
	seen(changed);
	say(words, true);
	try {
		await (isStatic ? kept.add(verdicts) : net.change("picks", { verdicts }));
		trouble();
	} catch (error) {
		for (const [name, was] of before) model.verdicts.set(name, was);
		seen(changed);
		trouble(error);
	}
	for (const [name] of before) model.unsaved.delete(name);
}
// Without end: the lines of picks.jsonl are what it goes back through.
async function undo() {
	const { picks } = isStatic ? kept.undo() : await net.change("undo", {});
	const { changed } = model.take({ picks });
	seen(changed);
	if (changed.length) choose(changed[0]);
	say(picks.length ? "Undone" : "Nothing to undo");
}
function download() {
	const lines = kept.lines();
	h("a", { download: "picks.jsonl", href: URL.createObjectURL(new Blob(lines.map((one) => `${JSON.stringify(one)}\n`))) }).click();
	say(`${plural(lines.length, "verdict")} in picks.jsonl: batcher pick RUN --from picks.jsonl`);
}

// What a key is about: the marked ones, else the current one.
const several = () => page.marks.size ? [...page.marks] : [page.current];
function verdict(name) {
	const { current, list } = page, isGroup = name === "only" || name === "none", all = isGroup ? [current] : several(), words = WORDS[name];
	decide(all.flatMap((i) => model.decision(i, name)).map(([i, pick]) => [i, { pick }]), all.length > 1 ? `${words}: ${plural(all.length, "image")}` : words);
	if (name === "undecide" || all.length > 1 || page.readOnly || page.opened.length > 1 || !(isGroup || $("moves-on").checked)) return;
	const to = model.next(list, place(), name);
	if (to >= 0) goTo(to); else if (page.view === "grid") otherPrompt(1); else say(`${words}. That was the last one.`, true);
}
function otherPrompt(step) {
	const prompt = model.prompt(page.current) + step;
	if (model.prompts[prompt]) choose(model.members(model.groupsOf(prompt)[0])[0]);
}
function reopen(which) {
	$("anew").checked = false;
	panel.question("retry", () => ({ ...which, resubmit: $("anew").checked }));
}
async function tune(changes) {
	model.take(await net.change("tune", changes));
	trouble();
	status();
	say("Done; a going run uses it within a second.");
}
function resize(factor) {
	page.size = Math.round(Math.min(720, Math.max(90, page.size * factor)));
	saved("size", page.size);
	wall.lay();
	focus();
}

// Up or down, in the column where it began.
function vertical(step) {
	const from = place();
	if (page.opened.length > 1) return loupe.pan(0, step);
	const [to, column] = page.view === "groups" ? model.vertical(page.list, from, step, goal) : wall.vertical(from, step, goal);
	if (to === from && page.view === "grid") otherPrompt(step); else goTo(to, column);
}
function horizontal(step) {
	const { opened, current } = page, { length } = opened;
	if (length > 1) choose(opened[(opened.indexOf(current) + step + length) % length]); else goTo(place() + step);
}
function open(indexes) {
	loupe.show(indexes);
	write();
	focus(!indexes.length);
}
function compare() {
	const some = page.opened.length > 1 ? [] : model.toCompare(page.current, page.marks);
	if (some.length === 1) return say("Nothing to compare it with");
	if (some.length && !some.includes(page.current)) page.current = some[0];
	open(some);
}
function retry() {
	const failed = several().filter(model.retried), each = (of) => [...new Set(failed.map(of))];
	if (failed.length) reopen({ states: each(model.retried), keys: each((i) => col.k[i]) }); else say("Only what failed or is missing is retried");
}
async function tag() {
	const all = several(), words = await panel.tags(page.current);
	if (words) decide(all.map((i) => [i, words]), "Tagged");
	focus();
}
function toggleSide(name) {
	side = side === name ? "" : name;
	details();
}
function back() {
	if (page.opened.length) open([]);
	else if (page.marks.size) {
		page.marks.clear();
		wall.lay();
	} else if (side) toggleSide(side);
	else if (page.view === "grid") go({ view: "groups" });
}

const ANYWHERE = {
	help: () => panel.show("help"), filter: () => { box.focus(); box.select(); }, undo, refresh: () => arrange(true), download, back, close: () => toggleSide(side),
	reload: () => location.reload(), larger: () => resize(1.2), smaller: () => resize(1 / 1.2),
	start: async () => { await go({ view: firstView(), show: "" }); act("undecided"); },
	all: () => { box.value = ""; clear($("wrong")); go({ q: "", show: "" }); },
	more: () => panel.question("more", () => ({ seeds: Number($("seeds").value), where: null })),
	export: () => {
		$("set").value ||= page.run;
		panel.question("export", () => ({ name: $("set").value, to: $("to").value, where: $("what").value || null }));
	},
	pause: () => tune({ [facts.control?.paused ? "resume" : "pause"]: true }), drain: () => tune({ drain: true }),
};
const AT_IMAGE = {
	tag, compare, retry, mark: () => mark(page.current), info: () => toggleSide("info"), differs: () => toggleSide("differs"),
	left: () => horizontal(-1), right: () => horizontal(1), up: () => vertical(-1), down: () => vertical(1),
	first: () => goTo(0), last: () => goTo(page.list.length - 1), promptBefore: () => otherPrompt(-1), promptNext: () => otherPrompt(1),
	pageUp: () => goTo(wall.screenAway(place(), -1)), pageDown: () => goTo(wall.screenAway(place(), 1)),
	panLeft: () => loupe.pan(-1, 0), panRight: () => loupe.pan(1, 0), panUp: () => loupe.pan(0, -1), panDown: () => loupe.pan(0, 1),
	undecided: () => { const to = model.nextUndecided(page.list, place()); if (to < 0) say("Nothing here is undecided"); else goTo(to); },
	open: () => open(page.opened.length ? [] : [page.current]),
	zoom: () => { if (!page.opened.length) open([page.current]); loupe.toggleZoom(); },
};
for (const view of VIEWS) ANYWHERE[view] = () => go({ view, show: view === "grid" ? "" : page.show });
for (const name in WORDS) AT_IMAGE[name] = () => verdict(name);
for (let stars = 0; stars <= 5; stars++) AT_IMAGE[`stars${stars}`] = () =>
	decide(several().map((i) => [i, { stars: stars || null }]), stars ? plural(stars, "star") : "No stars");

function act(name) {
	if (ANYWHERE[name]) ANYWHERE[name]()?.catch?.(trouble);
	else if (page.view !== "overview" && place() !== undefined) AT_IMAGE[name]();
}

addEventListener("keydown", (event) => {
	const { target, key } = event;
	if (target === box && key === "Escape") { box.value = page.q; focus(); }
	if (target.matches?.("input, select, textarea") || document.querySelector("dialog[open]") || !page.run) return;
	const name = action(event);
	if (!name || (["open", "mark"].includes(name) && target.closest("button, a, summary"))) return;
	act(name);
	event.preventDefault();
});
addEventListener("click", ({ target, ctrlKey, metaKey, pointerType }) => {
	const tile = target.closest(".tile, .thumb"), one = target.closest("[data-act], [data-show]");
	if (target.matches("dialog, [data-close]")) target.closest("dialog").close();
	if (tile && !one) {
		if (ctrlKey || metaKey) mark(tile.i);
		else if (tile.i === page.current && pointerType === "touch") open([tile.i]);
		else choose(tile.i);
		return;
	}
	const { act: name, show } = one?.dataset || {};
	if (tile && name !== "copy") choose(tile.i);
	if (name === "copy") {
		getSelection().selectAllChildren(one.previousElementSibling);
		if (document.execCommand("copy")) say("Copied");
	} else if (name) act(name); else if (one) go({ show });
});
addEventListener("dblclick", ({ target }) => {
	if (target.closest(".pane")) act("zoom"); else if (target.closest(".tile") && !target.closest("button")) open([page.current]);
});
// In the loupe a press chooses a pane, and a finger's stroke across goes on.
let pressedAt = 0;
$("panes").addEventListener("pointerdown", ({ target, clientX }) => {
	const i = target.closest(".pane")?.i;
	pressedAt = clientX;
	if (i !== undefined && i !== page.current) choose(i);
});
$("panes").addEventListener("pointerup", ({ clientX, pointerType }) => {
	const across = clientX - pressedAt;
	if (pointerType === "touch" && !loupe.isZoomed() && Math.abs(across) > 50) act(across < 0 ? "right" : "left");
});
addEventListener("submit", (event) => {
	const { target } = event, input = target.querySelector("input");
	if (target.method === "dialog") return;
	event.preventDefault();
	if (input === box) return filter(box.value);
	input.blur();
	tune({ [input.name]: input.value.trim() || null }).catch(trouble);
});
box.addEventListener("input", () => {
	box.parentElement.dataset.kind = model.isFilter(box.value) ? "filter" : "";
	clear($("wrong"));
	if (!box.value && page.q) filter("");
});
$("order").onchange = () => go({ sort: $("order").value });
$("moves-on").onchange = ({ target }) => saved("stay", target.checked ? "" : "1");

start();
