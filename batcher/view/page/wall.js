// The tiles of a view, of which only those near the window are elements. Elements are used again.

import { $, button, clear, command, h, icon, join, plural } from "./dom.js";
import { firstBelow, grouped, justified, middle, neighbour, table } from "./layout.js";
import * as model from "./model.js";
import { isBroken, thumb } from "./net.js";

const GAP = 6, { col, page } = model;
const [canvas, cols, field, stage] = ["canvas", "cols", "heads", "stage"].map($);
const tiles = new Map(), heads = new Map(), free = [];  // tiles by place, heads by number
let plan, mode, labels, width, frame, later, lastTop = 0;

stage.addEventListener("scroll", () => { frame ||= requestAnimationFrame(() => { frame = 0; draw(); }); }, { passive: true });
new ResizeObserver(() => { if (page.list.length && ![0, width].includes(stage.clientWidth)) lay(); }).observe(stage);

// What tiles and panes say of a picture to programs and to who can't see it.
export function mark(element, i) {
	const isCurrent = i === page.current, pick = model.pick(i);
	Object.assign(element, { i, ariaLabel: describe(i), ariaCurrent: isCurrent ? "true" : null, tabIndex: isCurrent ? 0 : -1 });
	Object.assign(element.dataset, { job: col.k[i], output: model.output(i), state: col.s[i], pick });
	if (!pick) delete element.dataset.pick;
}
export const badge = (pick) => pick && h(`span.badge ${pick}`, {}, icon(pick === "yes" ? "check" : "cross"));
export const starry = (stars) => stars > 0 && h("span.stars", { "aria-hidden": "true" }, "★".repeat(stars));
export const gap = ([words, why, line], i) => h(`div.gap ${model.retried(i) ? "failed" : "waiting"}`, {}, h("strong", {}, words), why && h("span.why", {}, why),
	line && command(line), model.retried(i) && !page.readOnly && button("Retry", "retry", { class: "small", tabindex: "-1" }));

function describe(i) {
	const { pick, stars, tags } = model.verdict(i);
	return [
		model.text(i).slice(0, 200), model.label(i), ...model.trouble(i) || [], { yes: "picked", no: "rejected" }[pick],
		stars > 0 && plural(stars, "star"), tags.length && `tags ${tags.join(", ")}`, ...model.flagsOf(i),
	].filter(Boolean).join(", ");
}

export function show(list, view) {
	mode = view;
	enlist(list);
	lay();
}
function enlist(list) {
	page.list = list;
	page.place = new Map(list.map((i, place) => [i, place]));
}

export function lay() {
	const { size, list } = page, current = page.place.get(page.current), ratio = (place) => model.ratio(list[place]);
	const before = plan?.y[current] - stage.scrollTop;  // where the current one stands, if anywhere
	width = stage.clientWidth;
	const inner = width - parseFloat(getComputedStyle(stage).paddingLeft) * 2, narrow = width < 620;
	if (mode === "groups") {
		plan = grouped(list.length, ratio, (place) => col.g[list[place]], (place) => model.prompt(list[place]),
			inner, size * (narrow ? 0.62 : 0.8), GAP, narrow ? 0 : 104, narrow ? 56 : 44);
	} else if (mode === "grid") plan = crossed(inner, narrow);
	else plan = justified(list.length, ratio, inner, narrow ? Math.min(size * 0.7, inner / 2) : size, GAP);
	canvas.style.height = `${plan.height + 90}px`;
	for (const tile of tiles.values()) drop(tile);
	for (const one of [tiles, heads]) one.clear();
	for (const one of [canvas, cols, field]) clear(one);
	if (Math.abs(before) < stage.clientHeight) stage.scrollTop = plan.y[current] - before;
	draw();
}

// The list by rows and columns of the axes.
function crossed(inner, narrow) {
	const values = (column) => {
		const all = [...new Set(page.list.map((i) => column[i]))];
		return all.every(Number.isFinite) ? all.sort((a, b) => a - b) : all;
	};
	labels = { row: values(col.r), col: values(col.c) };
	const all = Object.groupBy(page.list, (i) => [col.r[i], col.c[i]]);
	const cells = labels.row.map((row) => labels.col.map((column) => all[[row, column]] || []));
	enlist(cells.flat(2));
	const ratios = cells.map((row) => row.map((cell) => cell.map(model.ratio)));
	return table(ratios, inner, page.size * 1.2, GAP, model.axes.rows ? (narrow ? 46 : 104) : 0, 34);
}

function draw() {
	if (!plan) return;
	const { rows } = plan, top = stage.scrollTop, screen = stage.clientHeight || 800, wanted = new Set(), isFast = Math.abs(top - lastTop) > screen / 4;
	const over = isFast ? 0 : screen * 0.6, current = page.place.get(page.current);
	lastTop = top;
	for (let at = firstBelow(rows, top - over); at < rows.length && rows[at].top <= top + screen + over; at++)
		for (let place = rows[at].from; place < rows[at].to; place++) wanted.add(place);
	if (tiles.has(current)) wanted.add(current);  // it may have the focus
	for (const [place, tile] of tiles) if (!wanted.has(place)) { drop(tile); tiles.delete(place); }
	for (const place of wanted) if (!tiles.has(place)) add(place);
	drawHeads(top - over, top + screen + over);
	clearTimeout(later);
	if (isFast) later = setTimeout(draw, 60); else load();
}

// Those nearest the middle are asked for last: the server makes the newest wish first.
function load() {
	const centre = stage.scrollTop + stage.clientHeight / 2, far = ({ at }) => Math.abs(plan.y[at] - centre);
	const waiting = [...tiles.values()].filter(({ wish, picture }) => wish && !picture.getAttribute("src"));
	for (const { picture, wish } of waiting.sort((a, b) => far(b) - far(a))) picture.src = wish;
}

function add(place) {
	const tile = free.pop() || made(), { x, y, w, h: height } = plan;
	tile.at = place;
	Object.assign(tile.style, { transform: `translate(${x[place]}px, ${y[place]}px)`, width: `${w[place]}px`, height: `${height[place]}px` });
	tiles.set(place, tile);
	paint(tile);
	canvas.append(tile);
}
function made() {
	const tile = h("div.tile", { role: "option" }), picture = tile.picture = h("img", { alt: "", decoding: "async", draggable: "false" });
	picture.addEventListener("load", () => tile.classList.add("loaded"));
	picture.addEventListener("error", async () => {
		const { i, wish } = tile;
		if (wish && await isBroken(i) && tile.wish === wish) paint(tile);
	});
	return tile;
}
function aim(tile, wish) {
	if (tile.wish === wish) return;
	tile.wish = wish;
	tile.picture.removeAttribute("src");
	tile.classList.remove("loaded");
}
function drop(tile) {
	tile.remove();
	aim(tile, "");
	if (free.length < 200) free.push(tile);
}

export function refresh(indexes) {
	for (const place of indexes.map((i) => page.place.get(i))) if (tiles.has(place)) paint(tiles.get(place));
	if (!plan) return;
	load();
	for (const head of heads.values()) paintHead(head);
}

function paint(tile) {
	const i = page.list[tile.at], trouble = model.trouble(i), flags = model.flagsOf(i), isMarked = page.marks.has(i);
	mark(tile, i);
	Object.assign(tile, { ariaSelected: isMarked, ariaPosInSet: tile.at + 1, ariaSetSize: page.list.length });
	tile.classList.toggle("marked", isMarked);
	aim(tile, trouble ? "" : thumb(i));
	const words = { grid: "", groups: col.q[i] ?? "" }[mode] ?? join(model.text(i).slice(0, 80), model.label(i));
	clear(tile, trouble ? gap(trouble, i) : tile.picture,
		badge(model.pick(i)), starry(model.verdict(i).stars),
		flags.length > 0 && h("span.flag", { title: flags.join(", ") }, icon("flag")),
		words !== "" && h("span.caption", {}, words));
}

function drawHeads(top, bottom) {
	const wanted = new Set(), all = plan.heads;
	for (let at = mode === "groups" ? firstBelow(all, top - 400) : 0; at < all.length; at++) {
		const { kind, x, top: y, w, height } = all[at];
		if (kind !== "col" && y > bottom) break;
		wanted.add(at);
		if (heads.has(at)) continue;
		const head = h(`div.head head-${kind}`, { style: { transform: `translate(${x}px, ${y}px)`, width: `${w}px`, height: `${height}px` } });
		head.of = all[at];
		heads.set(at, head);
		paintHead(head);
		(kind === "col" ? cols : field).append(head);
	}
	for (const [at, head] of heads) if (!wanted.has(at)) { head.remove(); heads.delete(at); }
}

function paintHead(head) {
	const { kind, id } = head.of;
	if (kind === "prompt") clear(head, h("h2", { title: model.prompts[id][0] }, model.prompts[id][0]));
	else if (kind !== "group") clear(head, h("b", {}, `${labels[kind][id] ?? ""}`));
	else {
		const { keepers, open, state } = model.standing(id);
		const words = { kept: plural(keepers, "keeper"), open: `${open} to choose`, none: "none kept", empty: "no image yet" };
		head.dataset.standing = state;
		clear(head, h("b", {}, model.groups[id][1] || plural(model.members(id).length, "image")), h("span", {}, words[state]));
	}
}

// Brings a place into the window with some room around it.
export function reveal(place, focus = true) {
	if (!plan || !(place in plan.y)) return;
	const top = plan.y[place], bottom = top + plan.h[place], screen = stage.clientHeight, room = Math.min(120, screen * 0.18);
	if (top - room < stage.scrollTop) stage.scrollTop = top - room;
	else if (bottom + room > stage.scrollTop + screen) stage.scrollTop = bottom + room - screen;
	lastTop = stage.scrollTop;
	draw();
	if (focus) tiles.get(place)?.focus({ preventScroll: true });
}

// The place above (-1) or below (1), at x, which is the middle of this one unless given. Returns both.
export function vertical(place, step, x = middle(plan, place)) {
	return [neighbour(plan, place, step, x), x];
}
// The place about a screen above (-1) or below (1).
export function screenAway(place, step) {
	const at = firstBelow(plan.rows, plan.y[place] + step * stage.clientHeight * 0.85);
	return plan.rows[Math.min(at, plan.rows.length - 1)].from;
}
