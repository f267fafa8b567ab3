// One picture as large as the window, or two to four beside each other; one zoom for all.

import { button, h, icon, number } from "./dom.js";
import { STATES } from "./model.js";
import { describe } from "./wall.js";

class Pane {
  constructor(loupe) {
    this.loupe = loupe;
    this.picture = h("img", { alt: "", draggable: "false" });
    this.caption = h("div", { class: "pane-caption" });
    this.element = h("figure", { class: "pane", role: "option", tabindex: "-1" }, this.picture, this.caption);
    this.element.addEventListener("pointerdown", (event) => loupe.dragged(event, this));
    this.element.addEventListener("dblclick", (event) => loupe.zoomAt(event, this));
    this.element.addEventListener("wheel", (event) => loupe.wheeled(event), { passive: false });
  }
  show(index, many) {
    const { app } = this.loupe, { model } = app;
    const verdict = model.verdict(index);
    const { element } = this;
    element.dataset.job = model.k[index]; element.dataset.output = model.output(index); element.dataset.state = model.s[index];
    if (verdict.pick) element.dataset.pick = verdict.pick; else delete element.dataset.pick;
    if (index === app.current) element.setAttribute("aria-current", "true"); else element.removeAttribute("aria-current");
    element.setAttribute("aria-label", describe(model, index));
    if (this.index !== index || this.sha !== model.v[index]) {
      this.index = index; this.sha = model.v[index];
      element.querySelector(".gap")?.remove();
      if (model.isPicture(index)) {
        const place = [model.k[index], model.output(index), model.v[index]];
        const large = new Image();
        this.picture.hidden = false;
        this.picture.src = app.run.thumb(...place);
        large.src = app.run.picture(...place);
        large.decode().then(() => { if (this.index === index) this.picture.src = large.src; }, () => {
          if (this.index === index && !large.complete) return;
          if (this.index === index) { model.broken.add(index); this._gap("missing or damaged", "batcher verify --repair fetches it again, free"); }
        });
      } else {
        const cause = model.cause(index);
        this._gap(STATES[model.s[index]], cause ? `${cause[0].replaceAll("_", " ")}: ${cause[1]}` : "");
      }
    }
    const seed = model.seed(index);
    this.caption.replaceChildren(
      ...(many ? [h("span", {}, [model.label(index), seed === null ? "" : `seed ${seed}`].filter(Boolean).join(" · "))] : []),
      ...(verdict.pick ? [h("span", { class: `badge ${verdict.pick}` }, icon(verdict.pick === "yes" ? "check" : "cross"))] : []),
      ...(verdict.stars ? [h("span", { class: "stars" }, "★".repeat(verdict.stars))] : []));
    this.place();
  }
  _gap(words, why) {
    this.picture.hidden = true;
    this.element.append(h("div", { class: "gap failed" }, h("strong", {}, words), h("span", { class: "why" }, why)));
  }
  // The picture's place: fitted, or so that the shared point of each picture is in the middle.
  place() {
    const { model } = this.loupe.app, { zoom, x, y } = this.loupe;
    const room = this.element.getBoundingClientRect();
    const [width, height] = [model.w[this.index], model.h[this.index]];
    const fit = Math.min(room.width / width, room.height / height);
    const scale = zoom ? zoom / devicePixelRatio : Math.min(fit, 3);
    const [w, hh] = [width * scale, height * scale];
    const shift = (size, whole, at) => size <= whole ? (whole - size) / 2 : Math.min(0, Math.max(whole - size, whole / 2 - at * size));
    this.picture.style.width = `${w}px`; this.picture.style.height = `${hh}px`;
    this.picture.style.transform = `translate(${shift(w, room.width, x)}px, ${shift(hh, room.height, y)}px)`;
    this.element.classList.toggle("zoomed", Boolean(zoom));
    this.size = [w, hh];
  }
}

export class Loupe {
  // on: { choose(index), act(action), close() }.
  constructor(app, on) {
    this.app = app; this.on = on;
    this.zoom = 0; this.x = 0.5; this.y = 0.5;
    this.panes = []; this.indexes = [];
    this.title = h("div", { class: "loupe-title" });
    this.where = h("span", { class: "loupe-where" });
    this.field = h("div", { class: "panes", role: "listbox", "aria-label": "Loupe" });
    this.strip = h("div", { class: "strip", role: "listbox", "aria-label": "Pictures of this group" });
    const act = (label, action, name, key) => button(`${label} (${key})`, () => on.act(action), { class: `act act-${action}` }, icon(name));
    this.stars = h("span", { class: "star-buttons", role: "group", "aria-label": "Stars" }, [1, 2, 3, 4, 5].map((count) => button(`${count} stars`, () => on.act(`stars${count}`), { class: "quiet" }, "★")));
    this.bar = h("div", { class: "loupe-bar" },
      button("Previous", () => on.act("left"), { class: "quiet wide-only" }, icon("back")),
      act("Reject", "reject", "cross", "X"), act("Pick", "pick", "check", "P"), this.stars,
      button("100 % (Z)", () => on.act("zoom"), { class: "quiet" }, icon("zoom")),
      button("Compare (C)", () => on.act("compare"), { class: "quiet wide-only" }, icon("columns")),
      button("Inputs and cost (I)", () => on.act("info"), { class: "quiet" }, icon("info")),
      button("Next", () => on.act("right"), { class: "quiet wide-only" }, icon("forth")));
    this.element = h("section", { class: "loupe", hidden: true, "aria-label": "Loupe" },
      h("header", {}, button("Back (Esc)", () => on.close(), { class: "quiet" }, icon("back")), this.title, this.where),
      this.field, this.strip, this.bar);
    new ResizeObserver(() => this.panes.forEach((pane) => pane.index !== undefined && pane.place())).observe(this.field);
  }

  // indexes: one, or those to be compared.
  show(indexes) {
    const opening = this.element.hidden;
    this.element.hidden = false;
    if (opening || indexes.length !== this.indexes.length) { this.zoom = this.app.zoomed ? 1 : 0; this.x = this.y = 0.5; }
    this.indexes = indexes;
    while (this.panes.length < indexes.length) this.panes.push(new Pane(this));
    this.panes.length = indexes.length;
    this.field.dataset.many = indexes.length;
    this.field.replaceChildren(...this.panes.map((pane) => pane.element));
    this.refresh();
    const pane = this.panes[Math.max(0, indexes.indexOf(this.app.current))];
    pane.element.tabIndex = 0;
    pane.element.focus({ preventScroll: true });
    if (indexes.length === 1) this._ahead();
  }

  refresh() {
    if (this.element.hidden) return;
    const { app } = this, { model, current } = app;
    this.panes.forEach((pane, at) => pane.show(this.indexes[at], this.indexes.length > 1));
    const seed = model.seed(current);
    this.title.replaceChildren(h("b", {}, model.promptText(current)), h("span", {}, [model.label(current), seed === null ? "" : `seed ${seed}`, `${model.w[current]} × ${model.h[current]}`].filter(Boolean).join(" · ")));
    const place = app.wall.place.get(current);
    this.where.textContent = place === undefined ? "" : `${number(place + 1)} / ${number(app.wall.list.length)}`;
    const stars = model.verdict(current).stars || 0;
    [...this.stars.children].forEach((star, at) => star.classList.toggle("on", at < stars));
    const members = model.members(model.g[current]);
    this.strip.hidden = members.length < 2 || this.indexes.length > 1;
    if (!this.strip.hidden) {
      const from = Math.max(0, Math.min(members.indexOf(current) - 12, members.length - 25));
      this.strip.replaceChildren(...members.slice(from, from + 25).map((index) => {
        const pick = model.pick(index);
        return h("button", { type: "button", class: "thumb", role: "option", "aria-label": describe(model, index), "aria-selected": index === current, "data-verdict": pick, tabindex: "-1", onclick: () => this.on.choose(index) },
          model.isPicture(index) ? h("img", { alt: "", src: app.run.thumb(model.k[index], model.output(index), model.v[index]), style: { "aspect-ratio": `${model.ratio(index)}` } }) : h("span", {}, STATES[model.s[index]]));
      }));
    }
  }

  // The next picture is asked for before it is wanted.
  _ahead() {
    const { model, wall, current } = this.app, place = wall.place.get(current);
    for (const at of [place + 1, place - 1]) {
      const index = wall.list[at];
      if (index !== undefined && model.isPicture(index)) new Image().src = this.app.run.picture(model.k[index], model.output(index), model.v[index]);
    }
  }

  close() { this.element.hidden = true; this.indexes = []; this.zoom = 0; for (const pane of this.panes) pane.index = undefined; }

  toggleZoom() { this.zoom = this.zoom ? 0 : 1; this._placeAll(); }
  zoomAt(event, pane) {
    const room = pane.element.getBoundingClientRect(), image = pane.picture.getBoundingClientRect();
    if (!this.zoom && room.width) { this.x = (event.clientX - image.left) / image.width; this.y = (event.clientY - image.top) / image.height; }
    this.toggleZoom();
  }
  pan(dx, dy) {
    if (!this.zoom) return;
    this.x = Math.min(1, Math.max(0, this.x + dx * 0.15)); this.y = Math.min(1, Math.max(0, this.y + dy * 0.15));
    this._placeAll();
  }
  wheeled(event) {
    event.preventDefault();
    if (event.ctrlKey) {
      this.zoom = Math.min(8, Math.max(0.25, (this.zoom || 1) * Math.exp(-event.deltaY / 300)));
      this._placeAll();
    } else if (this.zoom) {
      const [w, height] = this.panes[0].size;
      this.x = Math.min(1, Math.max(0, this.x + event.deltaX / w)); this.y = Math.min(1, Math.max(0, this.y + event.deltaY / height));
      this._placeAll();
    }
  }
  dragged(event, pane) {
    if (event.button) return;
    if (pane.index !== this.app.current) this.on.choose(pane.index);
    const [fromX, fromY, x, y] = [event.clientX, event.clientY, this.x, this.y], [w, height] = pane.size;
    const move = (moved) => {
      if (!this.zoom) return;
      this.x = Math.min(1, Math.max(0, x - (moved.clientX - fromX) / w)); this.y = Math.min(1, Math.max(0, y - (moved.clientY - fromY) / height));
      this._placeAll();
    };
    const end = (last) => {
      removeEventListener("pointermove", move); removeEventListener("pointerup", end); removeEventListener("pointercancel", end);
      const across = last.clientX - fromX;
      if (!this.zoom && event.pointerType === "touch" && Math.abs(across) > 50 && this.indexes.length === 1) this.on.act(across < 0 ? "right" : "left");
    };
    addEventListener("pointermove", move); addEventListener("pointerup", end); addEventListener("pointercancel", end);
  }
  _placeAll() { for (const pane of this.panes) pane.place(); }
}
