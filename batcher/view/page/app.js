// The page: what is shown, what a key or a button does, what the address says.

import { $, button, clear, h, number, plural, problem } from "./dom.js";
import { action } from "./keys.js";
import { Loupe } from "./loupe.js";
import { across, decision, isFilter, Model, next, nextUndecided, toCompare } from "./model.js";
import { isStatic, list, Run, saved, signIn, valueOf } from "./net.js";
import { draw } from "./overview.js";
import * as panel from "./panel.js";
import { Wall } from "./wall.js";
import { where } from "./where.js";

const VIEWS = ["overview", "groups", "grid", "wall"];
const SHOWS = ["", "undecided", "picked", "rejected", "starred", "flagged", "failed", "waiting"];
const WORDS = { pick: "Picked", reject: "Rejected", undecide: "Undecided", only: "Picked; the others rejected", none: "None kept" };
const DONE = { f: "failed", c: "cancelled", x: "in_doubt" };

class App {
  constructor() {
    Object.assign(this, { model: new Model(), marks: new Set(), undone: [], opened: [], fresh: new Set(), current: -1, view: "", show: "", sort: "", q: "", among: null, panel: "", goal: null });
    this.root = $("app"); this.box = $("box");
    this.size = Number(saved("size")) || 220; this.movesOn = saved("stay") !== "1";
    const on = { open: (index) => { this.choose(index); this.act("open"); }, choose: (index) => this.choose(index), mark: (index) => this.mark(index), act: (name) => this.act(name) };
    this.wall = new Wall(this, on); this.loupe = new Loupe(this, on);
    this.listen();
  }

  listen() {
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("popstate", () => this.read());
    addEventListener("click", ({ target }) => {
      if (target.matches("dialog, [data-close]")) target.closest("dialog").close();
      const one = target.closest("[data-act], [data-show]"), tile = target.closest(".tile");
      if (!one) return;
      if (tile) this.choose(tile.index);
      if (one.dataset.act === "copy") this.copy(one.previousElementSibling);
      else if (one.dataset.act) this.act(one.dataset.act); else this.go({ show: one.dataset.show });
    });
    addEventListener("submit", (event) => {
      const { target } = event, input = target.querySelector("input");
      if (target.method === "dialog") return;
      event.preventDefault();
      if (input === this.box) this.filter(input.value); else { input.blur(); this.tune({ [input.name]: input.value.trim() || null }); }
    });
    this.box.addEventListener("input", ({ target: { value } }) => {
      this.box.parentElement.dataset.kind = isFilter(value) ? "filter" : "";
      clear($("wrong"));
      if (!value && this.q) this.filter("");
    });
    $("order").onchange = () => this.go({ sort: $("order").value });
    $("moves-on").checked = this.movesOn;
    $("moves-on").onchange = ({ target }) => { this.movesOn = target.checked; saved("stay", target.checked ? "" : "1"); };
  }

  async start() {
    try { await signIn(); this.about = await list(); } catch (error) { this.fail(error); return; }
    const { many, runs, read_only: readOnly } = this.about, name = new URLSearchParams(location.hash.slice(1)).get("run") || (many ? "" : runs[0].name);
    this.readOnly = readOnly;
    if (!name) { this.home(runs); return; }
    this.run = new Run(name);
    document.title = `${name} · batcher`;
    $("run").textContent = name;
    if (many) $("brand").href = location.pathname;
    if (isStatic) this.root.dataset.static = "";
    await this.load();
    this.run.follow((message) => this.take(message), (state) => { this.root.dataset.link = state; });
  }

  async load() {
    try {
      const index = await this.run.index();
      this.model = new Model();
      this.model.take(index);
      if (isStatic) this.model.take({ picks: saved.lines().map((one) => [one.job, one.output_index, one.pick, one.stars, one.tags, one.note, ""]) });
      this.trouble();
      this.read(true);
    } catch (error) { if (this.model.size) this.trouble(error); else this.fail(error); }
  }
  trouble(error) { clear($("trouble"), error && problem(error)); }

  fail(error) {
    clear(this.root, h("main", { class: "message" }, h("h1", {}, "batcher"), problem(error), error.status === 401
      ? h("p", {}, "The address that ", h("code", {}, "batcher view"), " prints ends in a token. Open it once in this browser.") : button("Try again", () => location.reload())));
  }
  home(runs) {
    addEventListener("hashchange", () => location.reload());
    clear(this.root, h("main", { class: "home" }, h("h1", {}, "Runs"), h("ul", { class: "runs" }, runs.map(({ name, facts, cover, problem: wrong }) =>
      h("li", {}, h("a", { href: `#run=${encodeURIComponent(name)}` },
        h("div", { class: "cover" }, cover?.length > 0 && h("img", { alt: "", loading: "lazy", src: new Run(name).thumb(...cover) })), h("b", {}, name),
        h("span", wrong ? { class: "problem" } : {}, wrong ? wrong.error : `${facts.words.title}${facts.failed ? `, ${number(facts.failed)} failed` : ""}${facts.going ? " · running" : ""}`)))))));
  }

  // The address holds the view.
  read(first) {
    const hash = new URLSearchParams(location.hash.slice(1)), { model } = this, get = (name) => hash.get(name) || "", [job, output] = get("at").split(".");
    const at = model.find(job, output), view = isStatic || !model.facts.going ? (model.size > model.groups.length ? "groups" : "wall") : "overview";
    Object.assign(this, { view: VIEWS.includes(get("view")) ? get("view") : view, show: get("show"), sort: get("sort"), q: get("q") });
    this.box.value = this.q;
    if (at !== undefined) this.current = at; else if (first || this.current >= model.size) this.current = -1;
    this.arrange(true).then(() => {
      if (get("open") && this.current >= 0) this.open(get("open") === "compare" ? toCompare(model, this.current, this.marks) : [this.current]); else this.open([]);
      this.write(true);
    });
  }
  write(replace = false) {
    const { view, show, sort, q, opened, current } = this;
    const facts = { run: this.about.many ? this.run.name : "", view, show, sort, q, open: ["", "loupe"][opened.length] ?? "compare", at: current >= 0 && view !== "overview" ? this.model.name(current) : "" };
    const hash = `#${new URLSearchParams(Object.entries(facts).filter(([, value]) => value))}`;
    if (hash !== location.hash) history[replace ? "replaceState" : "pushState"](null, "", hash);
  }
  async go(changes, ask) {
    Object.assign(this, changes);
    this.open([]);
    await this.arrange(ask);
    this.write();
  }
  async filter(text) {
    await this.go({ q: text.trim(), view: this.view === "overview" ? "wall" : this.view }, true);
    if (!$("wrong").childNodes.length) this.focus();
  }

  // The numbers of items that the filter means.
  async meant() {
    const { model, q } = this;
    try {
      if (isStatic) { const test = where(q); return new Set(model.n.filter((_, index) => test((name) => valueOf(model, index, name)))); }
      const { items, warnings } = await this.run.where(q);
      clear($("wrong"), warnings.map((message) => problem({ message })));
      return new Set(items);
    } catch (error) { clear($("wrong"), problem(error)); return new Set(); }
  }

  // Makes the list of the view anew. ask: also what the filter means.
  async arrange(ask) {
    const { model, view, q } = this, filters = isFilter(q);
    if (ask || !filters) this.among = filters ? await this.meant() : null;
    this.root.dataset.view = view;
    this.fresh.clear(); $("pill").hidden = true;
    for (const tab of $("tabs").children) if (tab.dataset.act === view) tab.setAttribute("aria-current", "page"); else tab.removeAttribute("aria-current");
    $("order").value = this.sort; $("order").hidden = view !== "wall";
    if (view !== "overview" && model.size) {
      const prompt = view === "grid" ? model.prompt(this.current >= 0 ? this.current : model.order[0]) : undefined;
      const found = model.list({ view, show: this.show, sort: this.sort, words: filters ? "" : q, among: this.among, prompt }), places = new Set(found);
      if (!places.has(this.current)) this.current = found.find((index) => model.isPicture(index) && !model.pick(index)) ?? found[0] ?? this.current;
      if (view === "grid") $("heading").textContent = model.prompts[prompt][0];
      this.wall.show(found, view);
      this.wall.reveal(this.wall.place.get(this.current), document.activeElement !== this.box);
    }
    $("empty").hidden = view === "overview" || Boolean(this.wall.list.length && model.size);
    $("nothing").textContent = model.size ? "Nothing fits" : "No pictures yet: they appear here as they arrive";
    this.status();
    this.details();
  }

  // Numbers that go with every change.
  status() {
    const { model } = this, { going, done, total, control } = model.facts, counts = model.counts(SHOWS);
    for (const chip of $("chips").children) {
      const { show } = chip.dataset;
      chip.hidden = show !== this.show && show !== "" && !counts[show];
      chip.setAttribute("aria-pressed", show === this.show);
      chip.querySelector("small").textContent = number(counts[show]);
    }
    clear($("live"), going && [h("i", { class: `dot ${control?.paused ? "paused" : "running"}` }), `${number(done)} / ${number(total)}`]);
    if (this.view === "overview") draw(this);
  }
  soon() { clearTimeout(this._soon); this._soon = setTimeout(() => this.status(), this.model.size > 20000 ? 600 : 120); }

  // What came from the server. Nothing that is looked at moves.
  take(message) {
    if (message.reset) { this.load(); return; }
    if (message.problem) { this.trouble({ message: message.problem.error, hint: message.problem.hint }); return; }
    const { changed, fresh } = this.model.take(message);
    this.seen(changed);
    for (const index of [...changed, ...fresh]) if (!this.wall.place.has(index) && this.model.shows(this.show || "arrived", index) && this.view === "wall") this.fresh.add(index);
    for (const index of fresh) this.fresh.add(index);
    if (this.fresh.size && !this.wall.list.length) this.arrange();
    $("pill").hidden = !this.fresh.size || this.view === "overview";
    $("pill").textContent = `${number(this.fresh.size)} new`;
  }
  seen(indexes) { this.wall.refresh(indexes); if (indexes.length) this.loupe.refresh(); this.soon(); }

  choose(index, goal = null) {
    const before = this.current;
    this.current = index; this.goal = goal;
    this.wall.refresh([before, index]);
    if (this.view === "grid" && !this.wall.place.has(index)) this.arrange(); else this.wall.reveal(this.wall.place.get(index), !this.opened.length);
    if (this.opened.length) this.open(this.opened.includes(index) ? this.opened : [index]);
    this.details();
    clearTimeout(this._write); this._write = setTimeout(() => this.write(true), 250);
  }
  goTo(place, goal) { if (this.wall.list[place] !== undefined) this.choose(this.wall.list[place], goal); }
  mark(index) { if (!this.marks.delete(index)) this.marks.add(index); this.wall.refresh([index]); this.say(this.marks.size ? `${plural(this.marks.size, "picture")} marked` : "No marks"); }
  open(indexes) { this.opened = indexes; this.loupe.show(indexes); }
  focus() { this.wall.reveal(this.wall.place.get(this.current)); }

  details() {
    const { panel: name, current } = this;
    $("side").hidden = !name || current < 0 || this.view === "overview";
    clearTimeout(this._details);
    if (!$("side").hidden) this._details = setTimeout(async () => clear($("details"), await panel[name](this, current).catch(problem)), 60);
  }
  say(words, undo) {
    clear($("toast"), h("span", {}, words), undo && button("Undo", "undo", { class: "quiet small", tabindex: "-1" }));
    clearTimeout(this._toast); this._toast = setTimeout(() => clear($("toast")), 4000);
  }
  async copy(code) {
    try { await navigator.clipboard.writeText(code.textContent); this.say("Copied"); } catch { getSelection().selectAllChildren(code); }
  }

  // Verdicts: [[index, changes], ...]; shown at once, taken back where they could not be written. words: empty for undo.
  async decide(pairs, words) {
    if (this.readOnly) { this.say("This page only shows: it was opened with --read-only."); return; }
    const { model } = this, before = [], verdicts = [];
    for (const [index, changes] of pairs) {
      const was = model.verdict(index), now = { ...was, ...changes };
      if (!model.isPicture(index) || JSON.stringify(now) === JSON.stringify(was)) continue;
      const { pick, stars, tags, note } = now;
      before.push([index, was]);
      verdicts.push({ job: model.k[index], output_index: model.output(index), pick, stars, tags, note });
      model.say(index, now);
    }
    if (!verdicts.length) return;
    const changed = before.map(([index]) => index);
    this.seen(changed);
    if (words) { this.undone.push(before); this.say(words, true); }
    try {  // one after the other: the last line of a picture counts
      const earlier = this.saving;
      await (this.saving = (async () => { await earlier?.catch(() => {}); return isStatic ? saved.add(verdicts) : this.run.change("picks", { verdicts }); })());
      this.trouble();
    } catch (error) {
      for (const [index, was] of before) { model.verdicts.set(model.name(index), was); model.mine.delete(model.name(index)); }
      this.undone = this.undone.filter((one) => one !== before);
      this.seen(changed);
      this.trouble(error);
    }
  }
  // Without end: what this page did not do itself is in the lines of picks.jsonl.
  async undo() {
    const { model } = this;
    if (!this.undone.length) {
      await this.saving?.catch(() => {});
      const { steps } = isStatic ? { steps: [] } : await this.run.undo();
      this.undone = steps.map((step) => step.map((one) => [model.find(one.job, one.output_index), one]).filter(([index]) => index !== undefined));
    }
    const before = this.undone.pop();
    if (!before?.length) { this.say("Nothing to undo"); return; }
    this.decide(before.map(([index, { pick, stars, tags, note }]) => [index, { pick, stars, tags, note }]), "");
    this.say("Undone");
    this.choose(before[0][0]);
  }
  download() {
    const lines = saved.lines();
    h("a", { download: "picks.jsonl", href: URL.createObjectURL(new Blob(lines.map((one) => `${JSON.stringify(one)}\n`))) }).click();
    this.say(`${plural(lines.length, "verdict")} in picks.jsonl: batcher pick RUN --from picks.jsonl`);
  }

  // What a key is about: the marked ones, else the current one.
  get several() { return this.marks.size ? [...this.marks] : [this.current]; }
  verdict(name) {
    const { model, current } = this, wholeGroup = name === "only" || name === "none", all = wholeGroup ? [current] : this.several, words = WORDS[name];
    this.decide(all.flatMap((index) => decision(model, index, name)).map(([index, pick]) => [index, { pick }]), all.length > 1 ? `${words}: ${plural(all.length, "picture")}` : words);
    if (name === "undecide" || all.length > 1 || this.readOnly || this.opened.length > 1 || !(this.movesOn || wholeGroup)) return;
    const to = next(model, this.wall.list, this.wall.place.get(current), name);
    if (to >= 0) this.goTo(to); else if (this.view === "grid") this.otherPrompt(1); else this.say(`${words}. That was the last one.`, true);
  }
  otherPrompt(step) {
    const { model } = this, prompt = model.prompt(this.current) + step;
    if (model.prompts[prompt]) this.choose(model.members(model.groupsOf(prompt)[0])[0]);
  }
  reopen(which) { panel.question(this, "retry", () => which); }
  async tune(changes) {
    try {
      const { control } = await this.run.change("tune", changes), { facts } = this.model;
      Object.assign(facts, { control });
      Object.assign(facts.words, control, { pause: control.paused ? "Resume" : "Pause" });
      this.status();
      this.say("Asked for; a going run obeys within a second.");
    } catch (error) { this.say(`${error.message} ${error.hint}`); }
  }
  resize(factor) { this.size = Math.round(Math.min(720, Math.max(90, this.size * factor))); saved("size", this.size); this.wall.lay(); this.focus(); }

  // Up or down, in the column where it began.
  vertical(step) {
    const { wall, model, current } = this, place = wall.place.get(current), group = (at) => model.g[wall.list[at]];
    if (this.opened.length > 1) { this.loupe.pan(0, step); return; }
    let { goal } = this, to;
    if (this.view === "groups") {
      if (goal === null) for (goal = 0; goal < place && group(place - goal - 1) === group(place);) goal++;
      to = across(group, wall.list.length, place, step, goal);
    } else to = wall.row(place, step, goal ??= wall.middle(place));
    if (to === place && this.view === "grid") this.otherPrompt(step); else this.goTo(to, goal);
  }
  horizontal(step) {
    const { opened, current, wall } = this, place = wall.place.get(current) + step;
    if (opened.length > 1) this.choose(opened[(opened.indexOf(current) + step + opened.length) % opened.length]); else this.goTo(place);
  }

  key(event) {
    if (event.target === this.box && event.key === "Escape") { this.box.value = this.q; this.focus(); }
    if (event.target.matches?.("input, select, textarea") || document.querySelector("dialog[open]") || !this.run) return;
    const name = action(event);
    if (!name || (["open", "mark"].includes(name) && event.target.closest("button, a, summary"))) return;
    this.act(name);
    event.preventDefault();
  }

  act(name) {
    const { wall, model, current, loupe, opened, several } = this, place = wall.place.get(current);
    const anywhere = {
      wall: () => this.go({ view: name }), groups: () => this.go({ view: name }), overview: () => this.go({ view: name }), grid: () => this.go({ view: name, show: "" }),
      help: () => panel.show("help"), filter: () => { this.box.focus(); this.box.select(); }, undo: () => this.undo(), refresh: () => this.arrange(true), download: () => this.download(),
      close: () => { this.panel = ""; this.details(); }, larger: () => this.resize(1.2), smaller: () => this.resize(1 / 1.2), back: () => this.back(),
      start: async () => { await this.go({ view: model.size > model.groups.length ? "groups" : "wall", show: "" }); this.act("undecided"); },
      all: () => { this.box.value = ""; clear($("wrong")); this.go({ q: "", show: "" }); },
      more: () => panel.question(this, "more", () => ({ seeds: Number($("seeds").value), where: null })),
      export: () => {
        $("set").value ||= this.run.name;
        panel.question(this, "export", () => ({ name: $("set").value, to: $("to").value, where: $("to").value === "pairs" ? null : $("what").value || null }));
      },
      pause: () => this.tune(model.facts.control?.paused ? { resume: true } : { pause: true }), drain: () => this.tune({ drain: true }),
    };
    const looking = {
      tag: async () => { const found = await panel.tags(this, current); if (found) this.decide(several.map((index) => [index, found]), "Tagged"); this.focus(); },
      mark: () => this.mark(current), left: () => this.horizontal(-1), right: () => this.horizontal(1), up: () => this.vertical(-1), down: () => this.vertical(1),
      first: () => this.goTo(0), last: () => this.goTo(wall.list.length - 1), pageUp: () => this.goTo(wall.page(place, -1)), pageDown: () => this.goTo(wall.page(place, 1)),
      panLeft: () => loupe.pan(-1, 0), panRight: () => loupe.pan(1, 0), panUp: () => loupe.pan(0, -1), panDown: () => loupe.pan(0, 1), promptBefore: () => this.otherPrompt(-1), promptNext: () => this.otherPrompt(1),
      info: () => { this.panel = this.panel === name ? "" : name; this.details(); }, differs: () => looking.info(),
      undecided: () => { const to = nextUndecided(model, wall.list, place); if (to < 0) this.say("Nothing here is undecided"); else this.goTo(to); },
      open: () => { this.open(opened.length ? [] : [current]); this.write(); this.focus(); },
      zoom: () => { if (!opened.length) looking.open(); loupe.toggleZoom(); },
      compare: () => {
        const some = opened.length > 1 ? [] : toCompare(model, current, this.marks);
        if (some.length === 1) { this.say("Nothing to compare it with"); return; }
        if (some.length && !some.includes(current)) this.current = some[0];
        this.open(some); this.write();
      },
      retry: () => {
        const failed = several.filter((index) => DONE[model.s[index]]), states = [...new Set(failed.map((index) => DONE[model.s[index]]))];
        if (failed.length) this.reopen({ states, keys: [...new Set(failed.map((index) => model.k[index]))] }); else this.say("Only what failed can be retried");
      },
    };
    if (isStatic && ["more", "export", "retry"].includes(name)) this.say("That needs the page of batcher view");
    else if (anywhere[name]) anywhere[name]();
    else if (this.view === "overview" || place === undefined) return;
    else if (WORDS[name]) this.verdict(name);
    else if (name.startsWith("stars")) { const stars = Number(name[5]) || null; this.decide(several.map((index) => [index, { stars }]), stars ? plural(stars, "star") : "No stars"); } else looking[name]?.();
  }
  back() {
    if (this.opened.length) { this.open([]); this.write(); this.focus(); } else if (this.marks.size) { const marks = [...this.marks]; this.marks.clear(); this.wall.refresh(marks); } else if (this.panel) this.act("close"); else if (this.view === "grid") this.go({ view: "groups" });
  }
}

new App().start();
