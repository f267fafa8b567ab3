// One picture as large as the window, or two to four beside each other. At 100 % all are scrolled as one.

import { $, clear, fill, h, join, number } from "./dom.js";
import { badge, gap, mark, starry } from "./wall.js";

export class Loupe {
  // on: { choose(index), act(action) }.
  constructor(app, on) {
    this.app = app; this.on = on; this.indexes = []; this.panes = [];
    this.element = $("loupe"); this.field = $("panes");
    this.field.addEventListener("scroll", ({ target }) => this._together(target), { capture: true, passive: true });
    this.field.addEventListener("dblclick", () => on.act("zoom"));
    this.field.addEventListener("pointerdown", (event) => this._pressed(event));
  }
  get isZoomed() { return this.field.classList.contains("zoomed"); }

  // indexes: one, or those to be compared; none closes it.
  show(indexes) {
    const { field, element } = this;
    if (element.hidden || indexes.length !== this.indexes.length) field.classList.remove("zoomed");
    element.hidden = !indexes.length;
    this.indexes = indexes;
    while (this.panes.length < indexes.length) this.panes.push(h("figure", { class: "pane", role: "option" }, h("div", { class: "frame" }), h("figcaption")));
    field.dataset.many = indexes.length;
    clear(field, this.panes.slice(0, indexes.length));
    this.refresh();
    this.panes[indexes.indexOf(this.app.current)]?.focus({ preventScroll: true });
  }

  refresh() {
    const { app, indexes } = this, { model, current, wall, run } = app;
    if (!indexes.length) return;
    indexes.forEach((index, at) => this._pane(this.panes[at], index));
    const place = wall.place.get(current), stars = model.verdict(current).stars || 0, members = model.members(model.g[current]), from = Math.max(0, members.indexOf(current) - 12);
    fill(this.element, {
      prompt: model.promptText(current), label: join(model.label(current), model.isPicture(current) && `${model.w[current]} × ${model.h[current]}`),
      where: place === undefined ? "" : `${number(place + 1)} / ${number(wall.list.length)}`, strip: members.length > 1 && indexes.length === 1,
    });
    [...$("stars").children].forEach((star, at) => star.classList.toggle("on", at < stars));
    clear($("strip"), members.slice(from, from + 25).map((index) => h("button", {
      type: "button", class: "thumb", "aria-label": model.label(index), "aria-pressed": `${index === current}`, "data-verdict": model.pick(index), tabindex: "-1", onclick: () => this.on.choose(index),
    }, model.trouble(index)?.words || h("img", { alt: "", src: run.thumb(...model.place(index)), style: { "aspect-ratio": `${model.ratio(index)}` } }))));
    if (indexes.length === 1) for (const index of [wall.list[place + 1], wall.list[place - 1]])  // asked for before they are wanted
      if (model.isPicture(index)) new Image().src = run.picture(...model.place(index));
  }

  _pane(pane, index) {
    const { app } = this, { model, run } = app, { pick, stars } = model.verdict(index), trouble = model.trouble(index), shown = `${model.place(index)} ${trouble?.words}`;
    mark(pane, app, index);
    pane.index = index;
    clear(pane.lastChild, this.indexes.length > 1 && h("span", {}, model.label(index)), badge(pick), starry(stars));
    if (pane.shown === shown) return;
    pane.shown = shown;
    const picture = h("img", { alt: "", draggable: "false" }), large = new Image(), isStill = () => pane.shown === shown;
    picture.style.setProperty("--width", `${model.w[index] / devicePixelRatio}px`);
    clear(pane.firstChild, trouble ? gap(trouble, "failed") : picture);
    if (trouble) return;
    picture.src = run.thumb(...model.place(index));
    large.src = run.picture(...model.place(index));
    large.decode().then(() => { if (isStill()) picture.src = large.src; }, () => { if (isStill()) { model.broken.add(index); this.refresh(); } });
  }

  toggleZoom() {
    this.field.classList.toggle("zoomed");
    for (const frame of this.field.querySelectorAll(".frame")) frame.scrollTo((frame.scrollWidth - frame.clientWidth) / 2, (frame.scrollHeight - frame.clientHeight) / 2);
  }
  pan(dx, dy) { this.panes[0].firstChild.scrollBy(dx * 120, dy * 120); }
  _together(from) {
    for (const frame of this.field.querySelectorAll(".frame")) if (frame !== from) {
      const left = from.scrollLeft * (frame.scrollWidth - frame.clientWidth) / (from.scrollWidth - from.clientWidth || 1);
      const top = from.scrollTop * (frame.scrollHeight - frame.clientHeight) / (from.scrollHeight - from.clientHeight || 1);
      if (Math.abs(frame.scrollLeft - left) + Math.abs(frame.scrollTop - top) > 2) frame.scrollTo(left, top);
    }
  }
  // Dragging scrolls; a finger's stroke across goes on.
  _pressed(event) {
    const frame = event.target.closest(".frame"), pane = frame?.parentElement, over = new AbortController(), listen = (name, act) => addEventListener(name, act, { signal: over.signal });
    if (!pane || event.button) return;
    if (pane.index !== this.app.current) this.on.choose(pane.index);
    listen("pointermove", ({ movementX, movementY }) => { if (event.pointerType === "mouse") frame.scrollBy(-movementX, -movementY); });
    listen("pointercancel", () => over.abort());
    listen("pointerup", ({ clientX }) => {
      const across = clientX - event.clientX;
      over.abort();
      if (!this.isZoomed && event.pointerType === "touch" && Math.abs(across) > 50) this.on.act(across < 0 ? "right" : "left");
    });
  }
}
