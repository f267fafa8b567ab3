// The tiles of a view, of which only those near the window are elements. Elements are used again.

import { grouped, justified, neighbour, table, visible } from "./layout.js";
import { STATES } from "./model.js";
import { button, h, icon, plural } from "./dom.js";

const GAP = 6;

export class Wall {
  // on: { open(index), choose(index), mark(index), retry(index) }.
  constructor(app, on) {
    this.app = app; this.on = on;
    this.canvas = h("div", { class: "canvas", role: "listbox", "aria-label": "Pictures", "aria-multiselectable": "true" });
    this.cols = h("div", { class: "cols" });
    this.stage = h("div", { class: "stage", tabindex: "-1" }, this.cols, this.canvas);
    this.list = []; this.plan = null; this.tiles = new Map(); this.heads = new Map(); this.free = [];
    this.stage.addEventListener("scroll", () => this._soon(), { passive: true });
    this.canvas.addEventListener("click", (event) => this._clicked(event));
    this.canvas.addEventListener("dblclick", (event) => { const at = this._index(event); if (at !== undefined) on.open(at); });
    new ResizeObserver(() => { if (this.list.length && this.stage.clientWidth !== this.width) this.lay(); }).observe(this.stage);
  }

  _index(event) {
    const tile = event.target.closest(".tile");
    return tile ? tile.index : undefined;
  }
  _clicked(event) {
    const index = this._index(event);
    if (index === undefined || event.target.closest("button")) return;
    if (event.ctrlKey || event.metaKey) this.on.mark(index);
    else if (index === this.app.current && matchMedia("(pointer: coarse)").matches) this.on.open(index);
    else this.on.choose(index);
  }

  // mode: wall, groups, grid.
  show(list, mode) {
    this.list = list; this.mode = mode;
    this.place = new Map(list.map((index, place) => [index, place]));
    this.broken = new Set();
    this.lay();
  }

  lay() {
    const { model, size } = this.app, list = this.list;
    const keep = this.plan && this.place.get(this.app.current);
    const offset = keep !== undefined && keep !== null && this.plan && keep < this.plan.y.length ? this.plan.y[keep] - this.stage.scrollTop : null;
    this.width = this.stage.clientWidth;
    const width = this.width - parseFloat(getComputedStyle(this.stage).paddingLeft) * 2, narrow = width < 620;
    const ratio = (place) => model.ratio(list[place]);
    if (this.mode === "groups") {
      this.plan = grouped(list.length, ratio, (place) => model.g[list[place]], (place) => model.prompt(list[place]),
        width, narrow ? size * 0.62 : size * 0.8, GAP, narrow ? 0 : 104, narrow ? 56 : 44);
    } else if (this.mode === "grid") this.plan = this._table(ratio, width, narrow);
    else this.plan = justified(list.length, ratio, width, narrow ? Math.min(size * 0.7, width / 2) : size, GAP);
    this.canvas.style.height = `${this.plan.height + 90}px`;
    for (const tile of this.tiles.values()) this._drop(tile);
    this.tiles.clear();
    for (const head of this.heads.values()) head.remove();
    this.heads.clear();
    if (offset !== null && offset > -this.stage.clientHeight && offset < this.stage.clientHeight)
      this.stage.scrollTop = this.plan.y[keep] - offset;
    this.draw();
  }

  _table(ratio, width, narrow) {
    const { model } = this.app, { axes } = model;
    const values = (of) => {
      const all = [...new Set(this.list.map(of))];
      return all.every((one) => typeof one === "number") ? all.sort((a, b) => a - b) : all;
    };
    const row = (index) => axes.rows ? model.r[index] : "";
    this.rowValues = values(row);
    this.colValues = values((index) => model.c[index]);
    const rowAt = new Map(this.rowValues.map((value, at) => [value, at])), colAt = new Map(this.colValues.map((value, at) => [value, at]));
    const cells = this.rowValues.map(() => this.colValues.map(() => []));
    this.list.sort((a, b) => rowAt.get(row(a)) - rowAt.get(row(b)) || colAt.get(model.c[a]) - colAt.get(model.c[b]) || model.n[a] - model.n[b]);
    this.place = new Map(this.list.map((index, place) => [index, place]));
    this.list.forEach((index, place) => cells[rowAt.get(row(index))][colAt.get(model.c[index])].push(place));
    return table(this.list.length, ratio, cells, this.colValues.length, width, this.app.size * 1.2, GAP, axes.rows ? (narrow ? 46 : 104) : 0, 34);
  }

  _soon() {
    if (this._frame) return;
    this._frame = requestAnimationFrame(() => { this._frame = 0; this.draw(); });
  }

  draw() {
    if (!this.plan) return;
    const top = this.stage.scrollTop, screen = this.stage.clientHeight || 800;
    const now = performance.now();
    const fast = Math.abs(top - (this._top || 0)) / Math.max(1, now - (this._when || 0)) > 4;  // pixels a millisecond
    this._top = top; this._when = now;
    const over = fast ? 0 : screen * 0.6;
    const [from, to] = visible(this.plan.rows, top - over, top + screen + over);
    const wanted = new Set();
    for (let row = from; row < to; row++) {
      const { first, places } = this.plan.rows[row];
      if (places) for (const place of places) wanted.add(place);
      else {
        const end = row + 1 < this.plan.rows.length ? this.plan.rows[row + 1].first : this.list.length;
        for (let place = first; place < end; place++) wanted.add(place);
      }
    }
    const current = this.place.get(this.app.current);
    if (current !== undefined && this.tiles.has(current)) wanted.add(current);  // it may have the focus
    for (const [place, tile] of this.tiles) if (!wanted.has(place)) { this._drop(tile); this.tiles.delete(place); }
    for (const place of wanted) if (!this.tiles.has(place)) this._add(place);
    this._drawHeads(top - over, top + screen + over);
    clearTimeout(this._later);
    if (fast) this._later = setTimeout(() => this.draw(), 60); else this._load();
  }

  // Pictures nearest to the middle are asked for last: the server makes the newest wish first.
  _load() {
    const middle = this.stage.scrollTop + this.stage.clientHeight / 2;
    const waiting = [...this.tiles.values()].filter((tile) => tile.wish && !tile.picture.getAttribute("src"));
    waiting.sort((a, b) => Math.abs(this.plan.y[b.at] - middle) - Math.abs(this.plan.y[a.at] - middle));
    for (const tile of waiting) tile.picture.src = tile.wish;
  }

  _add(place) {
    const tile = this.free.pop() || this._new();
    tile.at = place; tile.index = this.list[place];
    const { x, y, w, h: height } = this.plan;
    tile.style.transform = `translate(${x[place]}px, ${y[place]}px)`;
    tile.style.width = `${w[place]}px`; tile.style.height = `${height[place]}px`;
    this.tiles.set(place, tile);
    this.paint(tile);
    this.canvas.append(tile);
  }
  _new() {
    const tile = h("div", { class: "tile", role: "option" });
    tile.picture = h("img", { alt: "", decoding: "async", draggable: "false" });
    tile.picture.addEventListener("load", () => tile.classList.add("loaded"));
    tile.picture.addEventListener("error", () => {
      if (!tile.picture.getAttribute("src")) return;
      this.app.model.broken.add(tile.index);
      this.paint(tile);
    });
    return tile;
  }
  _drop(tile) {
    tile.remove();
    tile.picture.removeAttribute("src");
    tile.classList.remove("loaded");
    tile.wish = "";
    if (this.free.length < 200) this.free.push(tile);
  }

  refresh(indexes) {
    for (const index of indexes) {
      const tile = this.tiles.get(this.place.get(index));
      if (tile) this.paint(tile);
    }
    this._load();
    if (this.mode === "groups") for (const head of this.heads.values()) this._paintHead(head);
  }
  refreshAll() { this.refresh(this.list.length > 5000 ? [...this.tiles.values()].map((tile) => tile.index) : this.list); }

  paint(tile) {
    const { model, current, marks } = this.app, index = tile.index;
    const verdict = model.verdict(index), isPicture = model.isPicture(index) && !model.broken.has(index);
    tile.dataset.job = model.k[index];
    tile.dataset.output = model.output(index);
    if (verdict.pick) tile.dataset.pick = verdict.pick; else delete tile.dataset.pick;
    tile.dataset.state = model.s[index];
    const isCurrent = index === current;
    if (isCurrent) tile.setAttribute("aria-current", "true"); else tile.removeAttribute("aria-current");
    tile.tabIndex = isCurrent ? 0 : -1;
    tile.setAttribute("aria-selected", marks.has(index));
    tile.setAttribute("aria-label", describe(model, index));
    tile.setAttribute("aria-posinset", tile.at + 1);
    tile.setAttribute("aria-setsize", this.list.length);
    tile.classList.toggle("marked", marks.has(index));
    const inside = [];
    if (isPicture) {
      const [key, output, sha] = [model.k[index], model.output(index), model.v[index]];
      const wish = this.app.run.thumb(key, output, sha);
      if (tile.wish !== wish) { tile.wish = wish; tile.picture.removeAttribute("src"); tile.classList.remove("loaded"); }
      inside.push(tile.picture);
    } else { tile.wish = ""; inside.push(this._gap(index)); }
    if (verdict.pick) inside.push(h("span", { class: "badge" }, icon(verdict.pick === "yes" ? "check" : "cross")));
    if (verdict.stars) inside.push(h("span", { class: "stars", "aria-hidden": "true" }, "★".repeat(verdict.stars)));
    const words = this.caption(index);
    if (words) inside.push(h("span", { class: "caption" }, words));
    tile.replaceChildren(...inside);
  }

  caption(index) {
    const { model } = this.app, seed = model.seed(index);
    if (this.mode === "grid") return "";
    if (this.mode === "groups") return seed === null ? "" : `${seed}`;
    return [model.promptText(index).slice(0, 80), model.label(index), seed === null ? "" : `seed ${seed}`].filter(Boolean).join(" · ");
  }

  _gap(index) {
    const { model } = this.app, state = model.s[index], cause = model.cause(index);
    const failed = "fcx".includes(state);
    const missing = model.broken.has(index) || (state === "d" && !model.v[index]);
    const words = missing ? "missing or damaged" : STATES[state];
    const why = missing ? "batcher verify --repair fetches it again, free" : failed && cause ? `${cause[0].replaceAll("_", " ")}${cause[1] ? `: ${cause[1]}` : ""}` : "";
    return h("div", { class: `gap ${missing ? "missing" : failed ? "failed" : "waiting"}` },
      h("strong", {}, words), why && h("span", { class: "why" }, why),
      failed && !this.app.readOnly && button("Retry", () => this.on.retry(index), { class: "small", tabindex: "-1" }));
  }

  _drawHeads(top, bottom) {
    const wanted = new Set();
    const { heads } = this.plan;
    let low = 0;
    if (this.mode === "groups") {
      let high = heads.length;
      while (low < high) { const middle = (low + high) >> 1; if (heads[middle].y + heads[middle].h < top - 400) low = middle + 1; else high = middle; }
    }
    for (let at = low; at < heads.length; at++) {
      const head = heads[at];
      if (this.mode === "groups" && head.y > bottom) break;
      if (head.kind !== "col" && (head.y > bottom || head.y + head.h < top)) continue;
      wanted.add(at);
      if (!this.heads.has(at)) {
        const element = h("div", { class: `head head-${head.kind}`, style: { transform: `translate(${head.x}px, ${head.y}px)`, width: `${head.w}px`, height: `${head.h}px` } });
        element.head = head;
        this.heads.set(at, element);
        this._paintHead(element);
        (head.kind === "col" ? this.cols : this.canvas).append(element);
      }
    }
    for (const [at, element] of this.heads) if (!wanted.has(at)) { element.remove(); this.heads.delete(at); }
  }

  _paintHead(element) {
    const { model } = this.app, { kind, id } = element.head;
    if (kind === "prompt") {
      element.replaceChildren(h("h2", { title: model.prompts[id][0] }, model.prompts[id][0]));
    } else if (kind === "group") {
      const { keepers, open, pictures } = model.standing(id);
      const [state, words] = keepers ? ["kept", plural(keepers, "keeper")] : !pictures ? ["open", "no picture yet"] : open ? ["open", `${open} to choose`] : ["none", "none kept"];
      element.dataset.standing = state;
      element.replaceChildren(h("b", {}, model.groups[id][1] || plural(model.members(id).length, "picture")), h("span", {}, words));
    } else element.replaceChildren(h("b", {}, kind === "row" ? `${this.rowValues[id]}` : `${this.colValues[id]}`));
  }

  // Brings a place into the window with some room around it, and gives it the focus.
  reveal(place, { focus = true } = {}) {
    if (place === undefined || !this.plan || place >= this.plan.y.length) return;
    const top = this.plan.y[place], bottom = top + this.plan.h[place], room = Math.min(120, this.stage.clientHeight * 0.18);
    if (top - room < this.stage.scrollTop) this.stage.scrollTop = Math.max(0, top - room);
    else if (bottom + room > this.stage.scrollTop + this.stage.clientHeight) this.stage.scrollTop = bottom + room - this.stage.clientHeight;
    this._top = this.stage.scrollTop; this._when = 0;
    this.draw();
    const tile = this.tiles.get(place);
    if (tile && focus) tile.focus({ preventScroll: true });
  }

  go(dx, dy) {
    const place = this.place.get(this.app.current);
    if (place === undefined) return 0;
    return neighbour(this.plan, place, dx, dy);
  }
  page(direction) {
    const place = this.place.get(this.app.current) || 0;
    const goal = this.plan.y[place] + direction * this.stage.clientHeight * 0.85;
    let best = place;
    for (let at = place; at >= 0 && at < this.list.length; at += direction) { best = at; if ((this.plan.y[at] - goal) * direction >= 0) break; }
    return best;
  }
}

export function describe(model, index) {
  const verdict = model.verdict(index), seed = model.seed(index), cause = model.cause(index);
  return [
    model.promptText(index).slice(0, 200), model.label(index), seed === null ? "" : `seed ${seed}`,
    model.isPicture(index) ? "" : `${STATES[model.s[index]]}${cause ? `, ${cause[0].replaceAll("_", " ")}` : ""}`,
    verdict.pick === "yes" ? "picked" : verdict.pick === "no" ? "rejected" : "", verdict.stars ? plural(verdict.stars, "star") : "",
    verdict.tags.length ? `tags ${verdict.tags.join(", ")}` : "",
  ].filter(Boolean).join(", ");
}
