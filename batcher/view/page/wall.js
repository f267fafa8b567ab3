// The tiles of a view, of which only those near the window are elements. Elements are used again.

import { firstBelow, grouped, justified, middle, neighbour, table } from "./layout.js";
import { $, button, clear, h, icon, join, plain, plural } from "./dom.js";

const GAP = 6;

// What tiles and panes say of a picture to programs and to who can't see it.
export function mark(element, { model, current }, index) {
  const { pick } = model.verdict(index), attributes = {
    "data-job": model.k[index], "data-output": model.output(index), "data-state": model.s[index], "data-pick": pick,
    "aria-current": index === current ? "true" : null, "aria-label": describe(model, index),
  };
  for (const [name, value] of Object.entries(attributes)) if (value === null) element.removeAttribute(name); else element.setAttribute(name, value);
  element.tabIndex = index === current ? 0 : -1;
}
export const badge = (pick) => pick && h("span", { class: `badge ${pick}` }, icon(pick === "yes" ? "check" : "cross"));
export const starry = (stars) => stars > 0 && h("span", { class: "stars", "aria-hidden": "true" }, "★".repeat(stars));
export const gap = ({ words, why }, kind, ...more) => h("div", { class: `gap ${kind}` }, h("strong", {}, words), why && h("span", { class: "why" }, why), more);

function describe(model, index) {
  const { pick, stars, tags } = model.verdict(index), { words, why } = model.trouble(index) || {};
  return [
    model.promptText(index).slice(0, 200), model.label(index).replace(" · ", ", "), words, why, pick === "yes" ? "picked" : pick === "no" ? "rejected" : "",
    stars > 0 && plural(stars, "star"), tags.length && `tags ${tags.join(", ")}`, ...model.flagsOf(index).map(plain),
  ].filter(Boolean).join(", ");
}

export class Wall {
  // on: { open(index), choose(index), mark(index) }.
  constructor(app, on) {
    this.app = app;
    this.canvas = $("canvas"); this.cols = $("cols"); this.stage = $("stage");
    this.list = []; this.place = new Map(); this.plan = null; this.tiles = new Map(); this.heads = new Map(); this.free = [];
    const index = (event) => event.target.closest(".tile")?.index;
    this.stage.addEventListener("scroll", () => { this._frame ||= requestAnimationFrame(() => { this._frame = 0; this.draw(); }); }, { passive: true });
    this.canvas.addEventListener("click", (event) => {
      const at = index(event);
      if (at === undefined || event.target.closest("button")) return;
      if (event.ctrlKey || event.metaKey) on.mark(at);
      else if (at === app.current && matchMedia("(pointer: coarse)").matches) on.open(at);
      else on.choose(at);
    });
    this.canvas.addEventListener("dblclick", (event) => { if (index(event) !== undefined) on.open(index(event)); });
    new ResizeObserver(() => { if (this.list.length && ![0, this.width].includes(this.stage.clientWidth)) this.lay(); }).observe(this.stage);
  }

  // mode: wall, groups, grid.
  show(list, mode) { this.list = list; this.mode = mode; this._index(); this.lay(); }
  _index() { this.place = new Map(this.list.map((index, place) => [index, place])); }

  lay() {
    const { model, size, current } = this.app, { list, stage } = this;
    const before = this.plan?.y[this.place.get(current)] - stage.scrollTop;  // where the current one stands, if anywhere
    this.width = stage.clientWidth;
    const width = this.width - parseFloat(getComputedStyle(stage).paddingLeft) * 2, narrow = width < 620;
    const ratio = (place) => model.ratio(list[place]);
    if (this.mode === "groups") {
      this.plan = grouped(list.length, ratio, (place) => model.g[list[place]], (place) => model.prompt(list[place]),
        width, size * (narrow ? 0.62 : 0.8), GAP, narrow ? 0 : 104, narrow ? 56 : 44);
    } else if (this.mode === "grid") this.plan = this._table(ratio, width, narrow);
    else this.plan = justified(list.length, ratio, width, narrow ? Math.min(size * 0.7, width / 2) : size, GAP);
    this.canvas.style.height = `${this.plan.height + 90}px`;
    for (const tile of this.tiles.values()) this._drop(tile);
    for (const head of this.heads.values()) head.remove();
    this.tiles.clear(); this.heads.clear();
    if (Math.abs(before) < stage.clientHeight) stage.scrollTop = this.plan.y[this.place.get(current)] - before;
    this.draw();
  }

  _table(ratio, width, narrow) {
    const { model, size } = this.app, { rows } = model.axes, { list } = this;
    const values = (of) => {
      const all = [...new Set(list.map(of))];
      return all.every((one) => typeof one === "number") ? all.sort((a, b) => a - b) : all;
    };
    const row = (index) => rows ? model.r[index] : "", col = (index) => model.c[index];
    this.labels = { row: values(row), col: values(col) };
    const rowAt = new Map(this.labels.row.map((value, at) => [value, at])), colAt = new Map(this.labels.col.map((value, at) => [value, at]));
    list.sort((a, b) => rowAt.get(row(a)) - rowAt.get(row(b)) || colAt.get(col(a)) - colAt.get(col(b)) || model.n[a] - model.n[b]);
    this._index();
    const cells = this.labels.row.map(() => this.labels.col.map(() => []));
    list.forEach((index, place) => cells[rowAt.get(row(index))][colAt.get(col(index))].push(place));
    return table(list.length, ratio, cells, this.labels.col.length, width, size * 1.2, GAP, rows ? (narrow ? 46 : 104) : 0, 34);
  }

  draw() {
    if (!this.plan) return;
    const { rows } = this.plan, top = this.stage.scrollTop, screen = this.stage.clientHeight || 800, now = performance.now();
    const fast = Math.abs(top - (this._top || 0)) / Math.max(1, now - (this._when || 0)) > 4;  // pixels a millisecond
    this._top = top; this._when = now;
    const over = fast ? 0 : screen * 0.6, wanted = new Set();
    for (let at = firstBelow(rows, top - over); at < rows.length && rows[at].top <= top + screen + over; at++)
      for (let place = rows[at].from; place < rows[at].to; place++) wanted.add(place);
    const current = this.place.get(this.app.current);
    if (this.tiles.has(current)) wanted.add(current);  // it may have the focus
    for (const [place, tile] of this.tiles) if (!wanted.has(place)) { this._drop(tile); this.tiles.delete(place); }
    for (const place of wanted) if (!this.tiles.has(place)) this._add(place);
    this._drawHeads(top - over, top + screen + over);
    clearTimeout(this._later);
    if (fast) this._later = setTimeout(() => this.draw(), 60); else this._load();
  }

  // Pictures nearest to the middle are asked for last: the server makes the newest wish first.
  _load() {
    const centre = this.stage.scrollTop + this.stage.clientHeight / 2, far = (tile) => Math.abs(this.plan.y[tile.at] - centre);
    const waiting = [...this.tiles.values()].filter((tile) => tile.wish && !tile.picture.getAttribute("src"));
    for (const tile of waiting.sort((a, b) => far(b) - far(a))) tile.picture.src = tile.wish;
  }

  _add(place) {
    const tile = this.free.pop() || this._new(), { x, y, w, h: height } = this.plan;
    tile.at = place; tile.index = this.list[place];
    Object.assign(tile.style, { transform: `translate(${x[place]}px, ${y[place]}px)`, width: `${w[place]}px`, height: `${height[place]}px` });
    this.tiles.set(place, tile);
    this.paint(tile);
    this.canvas.append(tile);
  }
  _new() {
    const picture = h("img", { alt: "", decoding: "async", draggable: "false" }), tile = h("div", { class: "tile", role: "option" });
    tile.picture = picture;
    picture.addEventListener("load", () => tile.classList.add("loaded"));
    picture.addEventListener("error", () => { if (picture.getAttribute("src")) { this.app.model.broken.add(tile.index); this.paint(tile); } });
    return tile;
  }
  _wish(tile, wish) {
    if (tile.wish === wish) return;
    tile.wish = wish;
    tile.picture.removeAttribute("src");
    tile.classList.remove("loaded");
  }
  _drop(tile) { tile.remove(); this._wish(tile, ""); if (this.free.length < 200) this.free.push(tile); }

  refresh(indexes) {
    for (const index of indexes) if (this.tiles.has(this.place.get(index))) this.paint(this.tiles.get(this.place.get(index)));
    if (!this.plan) return;
    this._load();
    for (const head of this.heads.values()) this._paintHead(head);
  }

  paint(tile) {
    const { model, marks, run, readOnly } = this.app, { index } = tile, verdict = model.verdict(index), trouble = model.trouble(index);
    const flags = model.flagsOf(index), isMarked = marks.has(index), failed = model.hasFailed(index) || model.broken.has(index);
    mark(tile, this.app, index);
    tile.setAttribute("aria-selected", isMarked); tile.setAttribute("aria-posinset", tile.at + 1); tile.setAttribute("aria-setsize", this.list.length);
    tile.classList.toggle("marked", isMarked);
    this._wish(tile, trouble ? "" : run.thumb(...model.place(index)));
    const words = this.mode === "grid" ? "" : this.mode === "groups" ? model.seed(index) ?? "" : join(model.promptText(index).slice(0, 80), model.label(index));
    clear(tile, trouble ? gap(trouble, failed ? "failed" : "waiting", "fcx".includes(model.s[index]) && !readOnly && button("Retry", "retry", { class: "small", tabindex: "-1" })) : tile.picture,
      badge(verdict.pick), starry(verdict.stars), flags.length > 0 && h("span", { class: "flag", title: flags.map(plain).join(", ") }, icon("flag")),
      words !== "" && h("span", { class: "caption" }, words));
  }

  _drawHeads(top, bottom) {
    const wanted = new Set(), { heads } = this.plan;
    for (let at = this.mode === "groups" ? firstBelow(heads, top - 400) : 0; at < heads.length; at++) {
      const head = heads[at], { kind, x, y, w, h: height } = head;
      if (kind !== "col" && y > bottom) break;
      wanted.add(at);
      if (this.heads.has(at)) continue;
      const element = h("div", { class: `head head-${kind}`, style: { transform: `translate(${x}px, ${y}px)`, width: `${w}px`, height: `${height}px` } });
      element.head = head;
      this.heads.set(at, element);
      this._paintHead(element);
      (kind === "col" ? this.cols : this.canvas).append(element);
    }
    for (const [at, element] of this.heads) if (!wanted.has(at)) { element.remove(); this.heads.delete(at); }
  }

  _paintHead(element) {
    const { model } = this.app, { kind, id } = element.head;
    if (kind === "prompt") clear(element, h("h2", { title: model.prompts[id][0] }, model.prompts[id][0]));
    else if (kind === "group") {
      const { keepers, open, pictures } = model.standing(id);
      element.dataset.standing = keepers ? "kept" : open || !pictures ? "open" : "none";
      clear(element, h("b", {}, model.groups[id][1] || plural(model.members(id).length, "picture")),
        h("span", {}, keepers ? plural(keepers, "keeper") : open ? `${open} to choose` : pictures ? "none kept" : "no picture yet"));
    } else clear(element, h("b", {}, `${this.labels[kind][id]}`));
  }

  // Brings a place into the window with some room around it, and gives it the focus.
  reveal(place, focus = true) {
    if (!this.plan || !(place < this.plan.y.length)) return;
    const { stage } = this, top = this.plan.y[place], bottom = top + this.plan.h[place], room = Math.min(120, stage.clientHeight * 0.18);
    if (top - room < stage.scrollTop) stage.scrollTop = Math.max(0, top - room);
    else if (bottom + room > stage.scrollTop + stage.clientHeight) stage.scrollTop = bottom + room - stage.clientHeight;
    this._top = stage.scrollTop; this._when = 0;
    this.draw();
    if (focus) this.tiles.get(place)?.focus({ preventScroll: true });
  }

  middle(place) { return middle(this.plan, place); }
  row(place, step, x) { return neighbour(this.plan, place, step, x); }
  // The place about a screen above (-1) or below (1).
  page(place, step) {
    const goal = this.plan.y[place] + step * this.stage.clientHeight * 0.85;
    let at = place;
    while (this.list[at + step] !== undefined && (this.plan.y[at] - goal) * step < 0) at += step;
    return at;
  }
}
