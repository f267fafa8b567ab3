// One picture as large as the window, or two to four beside each other. At 100 % all are scrolled as one.

import { $, clear, fill, h, join, number } from "./dom.js";
import * as model from "./model.js";
import { isBroken, picture, thumb } from "./net.js";
import { badge, gap, mark, starry } from "./wall.js";

const { col, page } = model, element = $("loupe"), field = $("panes"), panes = [];
const frames = () => field.querySelectorAll(".frame");
const hidden = (frame) => [frame.scrollWidth - frame.clientWidth, frame.scrollHeight - frame.clientHeight];
export const isZoomed = () => field.classList.contains("zoomed");

field.addEventListener("scroll", ({ target }) => together(target), { capture: true, passive: true });
field.addEventListener("pointermove", (event) => {
	if (event.buttons && event.pointerType === "mouse") event.target.closest(".frame")?.scrollBy(-event.movementX, -event.movementY);
});

// indexes: one, or those to be compared; none closes it.
export function show(indexes) {
	if (element.hidden || indexes.length !== page.opened.length) field.classList.remove("zoomed");
	element.hidden = !($("stage").inert = indexes.length > 0);
	page.opened = indexes;
	while (panes.length < indexes.length) panes.push(h("figure.pane", { role: "option" }, h("div.frame"), h("figcaption")));
	field.dataset.many = indexes.length;
	clear(field, panes.slice(0, indexes.length));
	refresh();
	panes[indexes.indexOf(page.current)]?.focus({ preventScroll: true });
}

export function refresh() {
	const { opened, current, place, list } = page, at = place.get(current), isOne = opened.length === 1;
	if (!opened.length) return;
	opened.forEach((i, number) => paint(panes[number], i));
	const all = model.members(col.g[current]);
	fill(element, {
		prompt: model.text(current), label: join(model.label(current), model.isPicture(current) && `${col.w[current]} × ${col.h[current]}`),
		where: at === undefined ? "" : `${number(at + 1)} / ${number(list.length)}`, strip: all.length > 1 && isOne,
	});
	[...$("stars").children].forEach((star, number) => star.classList.toggle("on", number < model.verdict(current).stars));
	clear($("strip"), model.near(all, current, 25).map((i) => {
		const picture = model.trouble(i)?.[0] || h("img", { alt: "", src: thumb(i), style: { aspectRatio: model.ratio(i) } });
		const small = h("button.thumb", { type: "button" }, picture);
		mark(small, i);
		return small;
	}));
	if (isOne) for (const i of [list[at + 1], list[at - 1]]) if (model.isPicture(i)) new Image().src = picture(i);  // fetched ahead
}

function paint(pane, i) {
	const { pick, stars } = model.verdict(i), trouble = model.trouble(i), shown = `${model.name(i)} ${col.v[i]} ${trouble}`;
	mark(pane, i);
	clear(pane.lastChild, page.opened.length > 1 && h("span", {}, model.label(i)), badge(pick), starry(stars));
	if (pane.shown === shown) return;
	pane.shown = shown;
	const seen = h("img", { alt: "", draggable: "false" }), large = new Image();
	seen.style.setProperty("--width", `${col.w[i] / devicePixelRatio}px`);
	clear(pane.firstChild, trouble ? gap(trouble, i) : seen);
	if (trouble) return;
	seen.src = thumb(i);
	large.src = picture(i);
	large.decode().then(() => { seen.src = large.src; }, async () => { if (await isBroken(i)) refresh(); });
}

export function toggleZoom() {
	field.classList.toggle("zoomed");
	for (const frame of frames()) frame.scrollTo(...hidden(frame).map((one) => one / 2));
}
export const pan = (dx, dy) => panes[0].firstChild.scrollBy(dx * 120, dy * 120);
function together(from) {
	const [x, y] = hidden(from);
	for (const frame of frames()) {
		const [width, height] = hidden(frame), left = from.scrollLeft / x * width || 0, top = from.scrollTop / y * height || 0;
		if (Math.abs(frame.scrollLeft - left) + Math.abs(frame.scrollTop - top) > 2) frame.scrollTo(left, top);
	}
}
