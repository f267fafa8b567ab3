// The page: what is shown, what a key does, what the address says.

import { button, clear, h, icon, number, plural } from "./dom.js";
import { action } from "./keys.js";
import { Loupe } from "./loupe.js";
import { decision, isFilter, Model, next, nextUndecided, toCompare } from "./model.js";
import { isStatic, list, Run, signIn } from "./net.js";
import { draw } from "./overview.js";
import * as panel from "./panel.js";
import { Wall } from "./wall.js";

const VIEWS = [["overview", "Overview"], ["groups", "Groups"], ["grid", "Grid"], ["wall", "Wall"]];
const SHOWS = [["", "All", "all"], ["undecided", "Undecided"], ["picked", "Picked"], ["rejected", "Rejected"], ["starred", "Starred"], ["failed", "Failed"], ["waiting", "Waiting"]];
const SORTS = [["", "As in the manifest"], ["newest", "Newest first"], ["stars", "Most stars first"], ["slowest", "Slowest first"], ["prompt", "Prompt, A to Z"]];
const memory = { get: (name) => { try { return localStorage.getItem(name); } catch { return null; } }, set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* private mode */ } } };

class App {
  constructor(root) {
    this.root = root; this.model = new Model(); this.marks = new Set(); this.undone = [];
    this.current = -1; this.view = ""; this.show = ""; this.sort = ""; this.q = ""; this.among = null; this.panel = ""; this.opened = [];
    this.size = Number(memory.get("batcher-size")) || 220; this.movesOn = memory.get("batcher-stay") !== "1"; this.fresh = new Set(); this.readOnly = false;
    this.wall = new Wall(this, { open: (index) => { this.choose(index); this.act("open"); }, choose: (index) => this.choose(index), mark: (index) => this.mark(index), retry: (index) => this.retry(index) });
    this.loupe = new Loupe(this, { choose: (index) => this.choose(index), act: (name) => this.act(name), close: () => this.act("back") });
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("popstate", () => this.read());
  }

  async start() {
    try { await signIn(); this.about = await list(); } catch (error) { this.fail(error); return; }
    this.readOnly = this.about.read_only;
    const name = new URLSearchParams(location.hash.slice(1)).get("run") || (this.about.many ? "" : this.about.runs[0].name);
    if (!name) { this.home(); return; }
    this.run = new Run(name);
    document.title = `${name} · batcher`;
    this.frame();
    await this.load();
    this.run.follow((message) => this.take(message), (state) => { this.root.dataset.link = state; });
  }

  async load() {
    try {
      const index = await this.run.index(), { facts } = this.model;
      this.model = new Model();
      this.model.facts = facts;
      this.model.take(index);
      clear(this.trouble);
      this.read(true);
    } catch (error) { if (this.model.size) this.say(error.message); else this.fail(error); }
  }

  fail(error) {
    clear(this.root, h("main", { class: "message" }, h("h1", {}, "batcher"), panel.problem(error),
      error.status === 401 ? h("p", {}, "The address that ", h("code", {}, "batcher view"), " prints ends in a token. Open it once in this browser.") : button("Try again", () => location.reload())));
  }

  home() {
    clear(this.root, h("main", { class: "home" }, h("h1", {}, "Runs"), h("ul", { class: "runs" }, this.about.runs.map((one) => {
      const { facts, cover } = one, href = `#run=${encodeURIComponent(one.name)}`;
      return h("li", {}, h("a", { href, onclick: () => setTimeout(() => location.reload()) },
        h("div", { class: "cover" }, cover?.length ? h("img", { alt: "", loading: "lazy", src: new Run(one.name).thumb(...cover) }) : null),
        h("b", {}, one.name), facts ? h("span", {}, `${number(facts.done)} of ${number(facts.total)} done${facts.failed ? `, ${number(facts.failed)} failed` : ""}${facts.going ? " · running" : ""}`) : h("span", { class: "problem" }, one.problem.error)));
    }))));
  }

  frame() {
    this.box = h("input", { type: "search", placeholder: isStatic ? "Search prompts" : "Search, or filter: seed < 10", "aria-label": "Search prompts, or filter with an expression", spellcheck: "false", autocomplete: "off", enterkeyhint: "search" });
    this.box.addEventListener("keydown", (event) => { event.stopPropagation(); if (event.key === "Escape") { this.box.value = this.q; this.focus(); } });
    this.box.addEventListener("input", () => { this.box.parentElement.dataset.kind = this.box.value && isFilter(this.box.value) ? "filter" : ""; clear(this.wrong); if (!this.box.value && this.q) this.filter(""); });
    const form = h("form", { class: "box", role: "search", onsubmit: (event) => { event.preventDefault(); this.filter(this.box.value); } }, icon("search"), this.box, h("kbd", {}, "/"));
    this.tabs = h("nav", { "aria-label": "Views" }, VIEWS.map(([view, label]) => button(label, () => this.go({ view }), { "data-view": view })));
    this.wrong = h("div", { class: "wrong", "aria-live": "polite" }); this.trouble = h("div", { "aria-live": "polite" });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Show" });
    this.order = h("select", { "aria-label": "Order", onchange: () => this.go({ sort: this.order.value }) }, SORTS.map(([value, label]) => h("option", { value }, label)));
    this.heading = h("h2", { class: "grid-only" });
    this.tools = h("div", { class: "tools" }, button("Prompt before", () => this.otherPrompt(-1), { class: "quiet grid-only" }, icon("back")), button("Next prompt", () => this.otherPrompt(1), { class: "quiet grid-only" }, icon("forth")), this.heading, this.chips, h("span", { class: "room" }), this.order, button("Smaller (−)", () => this.act("smaller"), { class: "quiet wide-only" }, "−"), button("Larger (+)", () => this.act("larger"), { class: "quiet wide-only" }, "+"));
    this.pill = button("New", () => this.act("refresh"), { class: "pill", hidden: true });
    this.toast = h("div", { class: "toast", role: "status", "aria-live": "polite" });
    this.side = h("aside", { class: "side", hidden: true, "aria-label": "Details", tabindex: "-1" });
    this.numbers = h("div", { class: "scroll", tabindex: "-1" });
    this.live = h("span", { class: "live", "aria-live": "off" });
    this.empty = h("div", { class: "empty", hidden: true });
    this.main = h("main", {}, this.numbers, h("div", { class: "look" }, this.wall.stage, this.empty, this.pill), this.loupe.element, this.side);
    clear(this.root, h("header", { class: "top" }, h("a", { class: "brand", href: this.about.many ? "#" : null, onclick: () => this.about.many && setTimeout(() => location.reload()) }, h("img", { src: isStatic ? "icon.svg" : "page/icon.svg", alt: "" }), h("b", {}, this.run.name)), this.tabs, form, this.live,
      isStatic ? button("Save verdicts", () => this.download(), { class: "primary small" }) : null, button("Keys (?)", () => this.act("help"), { class: "quiet" }, "?")), this.wrong, this.trouble, this.tools, this.main, this.toast);
  }

  // The address holds the view.
  read(first = false) {
    const hash = new URLSearchParams(location.hash.slice(1)), { model } = this;
    const at = (hash.get("at") || "").split("."), found = model.find(at[0], Number(at[1] || 0));
    const many = model.groups.length && model.size > model.groups.length;
    this.view = VIEWS.some(([view]) => view === hash.get("view")) ? hash.get("view") : isStatic || !model.facts.going ? many ? "groups" : "wall" : "overview";
    this.show = hash.get("show") || ""; this.sort = hash.get("sort") || ""; this.q = hash.get("q") || ""; this.box.value = this.q;
    if (found !== undefined) this.current = found;
    else if (first || this.current >= model.size) this.current = -1;
    const open = hash.get("open") || "";
    this.arrange(this.q && isFilter(this.q) && !isStatic ? "ask" : null).then(() => {
      if (open && this.current >= 0) this.open(open === "compare" ? toCompare(model, this.current, this.marks) : [this.current]);
      else { this.opened = []; this.loupe.close(); }
      this.write(true);
    });
  }
  write(replace = false) {
    const open = this.opened.length > 1 ? "compare" : this.opened.length ? "loupe" : "";
    const facts = { run: this.about.many ? this.run.name : "", view: this.view, show: this.show, sort: this.sort, q: this.q, open, at: this.current >= 0 && this.view !== "overview" ? this.model.name(this.current) : "" };
    const hash = `#${new URLSearchParams(Object.entries(facts).filter(([, value]) => value))}`;
    if (hash !== location.hash) history[replace ? "replaceState" : "pushState"](null, "", hash);
  }

  go(changes) {
    Object.assign(this, changes);
    this.opened = []; this.loupe.close();
    this.arrange().then(() => this.write());
  }
  async filter(text) {
    this.q = text.trim();
    if (this.view === "overview") this.view = "wall";
    await this.arrange("ask");
    this.write();
    if (!this.wrong.childNodes.length) this.focus();
  }

  // Makes the list of the view, anew.
  async arrange(ask) {
    const { model, view } = this, filter = this.q && isFilter(this.q) && !isStatic;
    if (ask || !filter) {
      this.among = null;
      if (filter) try { const found = await this.run.where(this.q); this.among = new Set(found.items); for (const warning of found.warnings) this.wrong.append(panel.problem({ message: warning })); } catch (error) { clear(this.wrong, panel.problem(error)); this.among = new Set(); }
    }
    this.root.dataset.view = view;
    this.fresh.clear(); this.pill.hidden = true;
    for (const tab of this.tabs.children) if (tab.dataset.view === view) tab.setAttribute("aria-current", "page"); else tab.removeAttribute("aria-current");
    this.order.value = this.sort; this.order.hidden = view !== "wall";
    if (view !== "overview") {
      const prompt = view === "grid" ? model.prompt(this.current >= 0 ? this.current : model.order()[0] ?? 0) : undefined;
      const found = model.size ? model.list({ view, show: this.show, sort: this.sort, words: filter ? "" : this.q, among: this.among, prompt }) : [];
      if (!found.includes(this.current)) this.current = found.find((index) => model.isPicture(index) && !model.pick(index)) ?? found[0] ?? this.current;
      if (prompt !== undefined && model.size) clear(this.heading, model.prompts[prompt][0]);
      this.wall.show(found, view);
      this.wall.reveal(this.wall.place.get(this.current), { focus: document.activeElement !== this.box });
      this.empty.hidden = Boolean(found.length);
      clear(this.empty, h("h2", {}, model.size ? "Nothing to show" : "No pictures yet"), h("p", {}, this.q || this.show ? "Nothing fits." : "They appear here as they arrive."), this.q || this.show ? button("Show all", () => { this.q = this.show = this.box.value = ""; clear(this.wrong); this.go({}); }) : null);
    }
    this.status();
    this.details();
  }

  // Numbers that go with every change.
  status() {
    const { model } = this, counts = model.counts(), { facts } = model;
    clear(this.chips, SHOWS.filter(([show, , name]) => show === this.show || counts[name || show]).map(([show, label, name]) => button(label, () => this.go({ show }), { "aria-pressed": `${show === this.show}`, "aria-label": `${label}, ${counts[name || show]}` }, label, h("small", {}, number(counts[name || show])))));
    clear(this.live, facts.going ? [h("i", { class: `dot ${facts.control?.paused ? "paused" : "running"}` }), `${number(facts.done)} / ${number(facts.total)}`] : []);
    if (this.view === "overview") draw(this.numbers, this, { choose: () => { this.go({ view: model.size > model.groups.length ? "groups" : "wall", show: "" }); this.act("undecided"); }, retry: (which) => panel.retry(this, which), more: () => this.act("more"), export: () => this.act("export"), tune: (changes) => this.tune(changes) });
  }
  soon() { clearTimeout(this._soon); this._soon = setTimeout(() => this.status(), this.model.size > 20000 ? 600 : 120); }

  // What came from the server. Nothing that is looked at moves.
  take(message) {
    if (message.reset) { this.load(); return; }
    if (message.problem) { clear(this.trouble, panel.problem({ message: message.problem.error, hint: message.problem.hint })); return; }
    const found = this.model.take(message);
    this.wall.refresh([...found.items, ...found.picks]);
    if (found.items.length || found.picks.length) this.loupe.refresh();
    if (this.view === "wall" || found.fresh.length) {
      for (const index of [...found.items, ...found.fresh]) if (!this.wall.place?.has(index) && this.model.shows(this.show || "pictures", index)) this.fresh.add(index);
      if (this.fresh.size && !this.wall.list.length) this.arrange();
      this.pill.hidden = !this.fresh.size || this.view === "overview";
      this.pill.textContent = `${number(this.fresh.size)} new`;
    }
    this.soon();
  }

  choose(index, focus = true) {
    const before = this.current;
    this.current = index;
    this.wall.refresh([before, index]);
    if (this.view === "grid" && !this.wall.place.has(index)) this.arrange(); else this.wall.reveal(this.wall.place.get(index), { focus: focus && !this.opened.length });
    if (this.opened.length) this.open(this.opened.includes(index) && this.opened.length > 1 ? this.opened : [index]);
    this.details();
    clearTimeout(this._write); this._write = setTimeout(() => this.write(true), 250);
  }
  goTo(place) { const index = this.wall.list[place]; if (index !== undefined && place >= 0) this.choose(index); }
  mark(index) { if (!this.marks.delete(index)) this.marks.add(index); this.wall.refresh([index]); this.say(this.marks.size ? `${plural(this.marks.size, "picture")} marked` : "No marks"); }
  open(indexes) { this.opened = indexes; this.loupe.show(indexes); }
  focus() { this.wall.reveal(this.wall.place?.get(this.current)); }

  details() {
    this.side.hidden = !this.panel || this.current < 0 || this.view === "overview";
    if (this.side.hidden) return;
    const wanted = this.current;
    clearTimeout(this._details);
    this._details = setTimeout(() => panel[this.panel === "info" ? "details" : "differs"](this.side, this, wanted).catch((error) => clear(this.side, panel.problem(error))), 60);
  }

  say(words, undo = false) {
    clear(this.toast, h("span", {}, words), undo ? button("Undo", () => this.act("undo"), { class: "quiet small", tabindex: "-1" }) : null);
    clearTimeout(this._toast); this._toast = setTimeout(() => clear(this.toast), 4000);
  }

  // Verdicts: [[index, changes], ...]; shown at once, taken back where they could not be written.
  async decide(pairs, words) {
    if (this.readOnly) { this.say("This page only shows: it was opened with --read-only."); return; }
    const { model } = this, before = [], verdicts = [], changed = [];
    for (const [index, changes] of pairs) {
      if (!model.isPicture(index)) continue;
      const was = model.verdict(index), { sha, ...now } = { ...was, ...changes };
      if (JSON.stringify({ ...was, ...changes }) === JSON.stringify(was)) continue;
      before.push([index, was]);
      changed.push(index);
      verdicts.push({ job: model.k[index], output_index: model.output(index), ...now });
      model.say(index, now);
    }
    if (!verdicts.length) return;
    this.wall.refresh(changed); this.loupe.refresh(); this.soon();
    if (words) { this.undone.push(before); this.say(words, true); }
    try { await this.save(verdicts); } catch (error) {
      for (const [index, was] of before) { model.verdicts.set(model.name(index), was); model.mine.delete(model.name(index)); }
      this.undone = this.undone.filter((one) => one !== before);
      this.wall.refresh(changed); this.loupe.refresh(); this.soon();
      clear(this.trouble, panel.problem(error));
    }
  }
  async save(verdicts) {
    if (!isStatic) {  // one after the other: the last line of a picture counts
      const before = this.saving;
      this.saving = (async () => { await before?.catch(() => {}); return this.run.change("picks", { verdicts }); })();
      await this.saving;
      clear(this.trouble);
      return;
    }
    const lines = JSON.parse(memory.get(`batcher-picks-${location.pathname}`) || "[]");
    for (const one of verdicts) lines.push({ at: new Date().toISOString(), by: "", ...one, sha256: globalThis.BATCHER.shas[`${one.job}.${one.output_index}`] || null });
    memory.set(`batcher-picks-${location.pathname}`, JSON.stringify(lines));
    this.lines = lines;
  }
  download() {
    const lines = this.lines || JSON.parse(memory.get(`batcher-picks-${location.pathname}`) || "[]");
    const link = h("a", { download: "picks.jsonl", href: URL.createObjectURL(new Blob(lines.map((one) => `${JSON.stringify(one)}\n`))) });
    link.click();
    this.say(`${plural(lines.length, "verdict")} in picks.jsonl: batcher pick RUN --from picks.jsonl`);
  }
  undo() {
    const before = this.undone.pop();
    if (!before) { this.say("Nothing to undo"); return; }
    this.decide(before.map(([index, { pick, stars, tags, note }]) => [index, { pick, stars, tags, note }]), "");
    this.say("Undone");
    this.choose(before[0][0]);
  }

  verdict(name) {
    const { model, current } = this, place = this.wall.place.get(current);
    const several = this.marks.size && !["only", "none"].includes(name) ? [...this.marks] : [current];
    const pairs = several.flatMap((index) => decision(model, index, name)).map(([index, pick]) => [index, { pick }]);
    const words = { pick: "Picked", reject: "Rejected", undecide: "Undecided", only: "Picked; the others rejected", none: "None kept" }[name];
    this.decide(pairs, several.length > 1 ? `${words}: ${plural(several.length, "picture")}` : words);
    if (name === "undecide" || several.length > 1 || this.readOnly) return;
    if ((!this.movesOn && !["only", "none"].includes(name)) || this.opened.length > 1) return;
    const to = next(model, this.wall.list, place, name);
    if (to >= 0) this.goTo(to); else if (this.view === "grid") this.otherPrompt(1); else this.say(`${words}. That was the last one.`, true);
  }
  otherPrompt(step) {
    const { model } = this, prompt = model.prompt(this.current) + step, group = model.prompts[prompt] && model.groupsOf(prompt)[0];
    if (group !== undefined) this.choose(model.members(group)[0]);
  }
  retry(index) {
    const { model } = this, all = [...new Set((this.marks.size ? [...this.marks] : [index]).filter((one) => "fcx".includes(model.s[one])))];
    if (!all.length) { this.say("Only what failed can be retried"); return; }
    panel.retry(this, { states: [...new Set(all.map((one) => ({ f: "failed", c: "cancelled", x: "in_doubt" })[model.s[one]]))], keys: all.map((one) => model.k[one]) });
  }
  async tune(changes) {
    try { const found = await this.run.change("tune", changes); this.model.facts = { ...this.model.facts, control: { ...this.model.facts.control, ...found.control } }; this.status(); this.say("Asked for; a going run obeys within a second."); } catch (error) { this.say(`${error.message} ${error.hint}`); }
  }
  setMovesOn(on) { this.movesOn = on; memory.set("batcher-stay", on ? "" : "1"); }
  resize(factor) { this.size = Math.round(Math.min(720, Math.max(90, this.size * factor))); memory.set("batcher-size", this.size); this.wall.lay(); this.focus(); }

  key(event) {
    if (event.target.matches?.("input, select, textarea") || document.querySelector("dialog[open]") || !this.run) return;
    const name = action(event);
    if (!name || (["open", "mark"].includes(name) && event.target.closest("button, a, summary"))) return;
    if (this.act(name) !== false) event.preventDefault();
  }

  act(name) {
    const { wall, model, current, loupe } = this, looks = this.view !== "overview" && wall.list.length, many = this.opened.length > 1;
    const steps = { left: -1, right: 1 };
    switch (name) {
      case "wall": case "groups": case "overview": this.go({ view: name }); return true;
      case "help": panel.help(this); return true;
      case "filter": this.box.focus(); this.box.select(); return true;
      case "more": if (!isStatic) panel.more(this); return true;
      case "export": if (!isStatic) panel.exporting(this); return true;
      case "undo": this.undo(); return true;
      case "refresh": this.arrange("ask"); return true;
      case "larger": this.resize(1.2); return true;
      case "smaller": this.resize(1 / 1.2); return true;
    }
    if (name === "grid" && model.size) { this.go({ view: "grid", show: "" }); return true; }
    if (!looks) return false;
    if (name.startsWith("stars")) {
      const stars = Number(name[5]) || null;
      this.decide((this.marks.size ? [...this.marks] : [current]).map((index) => [index, { stars }]), stars ? plural(stars, "star") : "No stars");
      return true;
    }
    switch (name) {
      case "pick": case "reject": case "undecide": case "only": case "none": this.verdict(name); break;
      case "tag": panel.tags(this, current).then((found) => { if (found) this.decide((this.marks.size ? [...this.marks] : [current]).map((index) => [index, found]), "Tagged"); this.focus(); }); break;
      case "mark": this.mark(current); break;
      case "retry": this.retry(current); break;
      case "undecided": { const to = nextUndecided(model, wall.list, wall.place.get(current)); if (to < 0) this.say("Nothing here is undecided"); else this.goTo(to); break; }
      case "open": if (this.opened.length) this.act("back"); else { this.open([current]); this.write(); } break;
      case "zoom": if (!this.opened.length) { this.open([current]); this.write(); } loupe.toggleZoom(); break;
      case "compare": if (many) this.act("back"); else { const some = toCompare(model, current, this.marks); if (some.length < 2) this.say("Nothing to compare it with"); else { if (!some.includes(current)) this.current = some[0]; this.open(some); this.write(); } } break;
      case "back":
        if (this.opened.length) { this.opened = []; loupe.close(); this.write(); this.focus(); } else if (this.marks.size) { const marks = [...this.marks]; this.marks.clear(); wall.refresh(marks); } else if (this.panel) { this.panel = ""; this.details(); } else if (this.view === "grid") this.go({ view: "groups" });
        break;
      case "info": case "differs": this.panel = this.panel === name ? "" : name; this.details(); break;
      case "left": case "right":
        if (many) this.choose(this.opened[(this.opened.indexOf(current) + steps[name] + this.opened.length) % this.opened.length]); else this.goTo(wall.go(steps[name], 0));
        break;
      case "up": case "down": {
        const step = name === "up" ? -1 : 1;
        if (many) { loupe.pan(0, step); break; }
        const place = wall.place.get(current);
        let to = place;
        if (this.view === "wall" && !this.opened.length) to = wall.go(0, step);
        else if (this.view === "grid" && !this.opened.length) { to = wall.go(0, step); if (to === place) { this.otherPrompt(step); break; } } else {
          const group = (at) => model.g[wall.list[at]], column = () => { let at = place; while (at > 0 && group(at - 1) === group(place)) at--; return place - at; };
          const across = column();
          while (to >= 0 && to < wall.list.length && group(to) === group(place)) to += step;
          if (to < 0 || to >= wall.list.length) { if (this.view === "grid") this.otherPrompt(step); break; }
          if (step < 0) while (to > 0 && group(to - 1) === group(to)) to--;
          for (let more = 0; more < across && to + 1 < wall.list.length && group(to + 1) === group(to); more++) to++;
        }
        this.goTo(to);
        break;
      }
      case "panLeft": loupe.pan(-1, 0); break;
      case "panRight": loupe.pan(1, 0); break;
      case "panUp": loupe.pan(0, -1); break;
      case "panDown": loupe.pan(0, 1); break;
      case "first": this.goTo(0); break;
      case "last": this.goTo(wall.list.length - 1); break;
      case "pageUp": this.goTo(wall.page(-1)); break;
      case "pageDown": this.goTo(wall.page(1)); break;
      default: return false;
    }
    return true;
  }
}

const app = new App(document.getElementById("app"));
app.start();
