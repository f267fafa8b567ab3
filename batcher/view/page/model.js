// What the page knows of a run: items (pictures, and jobs without one), groups, prompts, verdicts, flags. No DOM.
// Columns of items: n number for life, k job key, s state, g group, r and c values of the grid's axes, w and h pixels,
// v digits of the content's hash, t ended at, d seconds it took, e cause, o order.

const NAMES = ["n", "k", "s", "g", "r", "c", "w", "h", "v", "t", "d", "e", "o"];
const OUTPUTS = 1000;
export const STATES = { p: "waiting", q: "at the service", r: "to download", d: "done", f: "failed", c: "cancelled", x: "in doubt" };
const NOTHING = Object.freeze({ pick: null, stars: null, tags: [], note: null });
const said = ({ pick, stars, tags, note }) => JSON.stringify([pick, stars, tags, note]);

export class Model {
  constructor() {
    for (const name of NAMES) this[name] = [];
    this.at = new Map();        // number of an item -> index
    this.prompts = []; this.groups = []; this.causes = [];  // [text, id], [prompt, label], [kind, message, status]
    this.verdicts = new Map();  // "key.output" -> verdict
    this.mine = new Map();      // "key.output" -> what this page said, until the server says it too
    this.flags = new Map();     // "key.output" -> words
    this.axes = { rows: null, cols: null, hidden: [] };
    this.facts = {};
    this.broken = new Set();    // indexes whose picture can't be shown
  }

  get size() { return this.n.length; }

  // A message of the server. Returns indexes: changed (items, verdicts, flags), and fresh ones.
  take({ axes, facts, tables, items, picks, flags }) {
    const changed = [], fresh = [];
    const touch = (name) => { const index = this._keys.get(name); if (index !== undefined) changed.push(index); };
    if (axes) this.axes = axes;
    if (facts) this.facts = facts;
    for (const [name, [from, rows]] of Object.entries(tables || {})) rows.forEach((row, number) => { this[name][from + number] = row; });
    if (items) {
      if (!this.size) for (const name of NAMES) this[name] = items[name];
      items.n.forEach((number, row) => {
        let index = this.at.get(number);
        if (index === undefined) { index = this.at.size; this.at.set(number, index); fresh.push(index); } else changed.push(index);
        if (this.n !== items.n) for (const name of NAMES) this[name][index] = items[name][row];
        this.broken.delete(index);
      });
      this._lazy = {};
    }
    for (const [job, output, pick, stars, tags, note, sha] of picks || []) {
      const name = `${job}.${output}`, verdict = { pick, stars, tags, note, sha }, mine = this.mine.get(name);
      if (mine && mine.until > Date.now() && mine.said !== said(verdict)) continue;  // an echo of an earlier line
      this.mine.delete(name);
      this.verdicts.set(name, verdict);
      touch(name);
    }
    for (const [job, output, words] of flags || []) { this.flags.set(`${job}.${output}`, words); touch(`${job}.${output}`); }
    return { changed, fresh };
  }

  // What is made of all items when it is asked for, and again when they changed.
  _made(name, make) { return (this._lazy ||= {})[name] ||= make(); }
  get _keys() { return this._made("keys", () => new Map(this.n.map((_, index) => [this.name(index), index]))); }
  _by(name, count, of) {
    return this._made(name, () => { const lists = Array.from({ length: count }, () => []); of(lists); return lists; });
  }
  // All items in the order of the manifest.
  get order() {
    return this._made("order", () => {
      const all = this.n.map((_, index) => index);
      return all.some((index) => index && this.o[index - 1] > this.o[index]) ? all.sort((a, b) => this.o[a] - this.o[b] || this.n[a] - this.n[b]) : all;
    });
  }
  members(group) { return this._by("members", this.groups.length, (lists) => this.order.forEach((index) => lists[this.g[index]].push(index)))[group]; }
  groupsOf(prompt) { return this._by("ofPrompt", this.prompts.length, (lists) => this.groups.forEach(([one], group) => lists[one].push(group)))[prompt]; }

  output(index) { return this.n[index] % OUTPUTS; }
  name(index) { return `${this.k[index]}.${this.output(index)}`; }
  place(index) { return [this.k[index], this.output(index), this.v[index]]; }
  find(job, output) { return this._keys.get(`${job}.${output}`); }
  isPicture(index) { return this.s[index] === "d" && this.v[index] !== ""; }
  hasFailed(index) { return "fcx".includes(this.s[index]) || (this.s[index] === "d" && !this.v[index]); }
  ratio(index) { return Math.min(4, Math.max(0.25, this.w[index] / this.h[index])); }
  prompt(index) { return this.groups[this.g[index]][0]; }
  promptText(index) { return this.prompts[this.prompt(index)][0]; }
  seed(index) { return this.axes.rows === "seed" ? this.r[index] : this.axes.cols === "seed" ? this.c[index] : null; }
  // What tells a picture from the others of its prompt, in words.
  label(index) { const seed = this.seed(index); return [this.groups[this.g[index]][1], seed === null ? "" : `seed ${seed}`].filter(Boolean).join(" · "); }
  // Why there is no picture: { words, why }; null where there is one.
  trouble(index) {
    if (this.broken.has(index) || (this.s[index] === "d" && !this.v[index])) return { words: "missing or damaged", why: "batcher verify --repair fetches it again, free" };
    if (this.s[index] === "d") return null;
    const [kind, message] = this.causes[this.e[index]] || [];
    return { words: STATES[this.s[index]], why: kind && this.hasFailed(index) ? `${kind.replaceAll("_", " ")}${message ? `: ${message}` : ""}` : "" };
  }

  say(index, verdict) {
    this.verdicts.set(this.name(index), { ...verdict, sha: this.v[index] });
    this.mine.set(this.name(index), { said: said(verdict), until: Date.now() + 4000 });
  }
  // The verdict on this very picture; one on a picture that was made anew since does not count.
  verdict(index) {
    const found = this.verdicts.size && this.verdicts.get(this.name(index));
    return found && !(found.sha && this.v[index] && found.sha !== this.v[index]) ? found : NOTHING;
  }
  pick(index) { return this.verdict(index).pick; }
  flagsOf(index) { return (this.flags.size && this.flags.get(this.name(index))) || []; }

  // keepers: how many are picked. open: pictures without a verdict.
  standing(group) {
    const picks = this.members(group).filter((index) => this.isPicture(index)).map((index) => this.pick(index));
    return { pictures: picks.length, keepers: picks.filter((pick) => pick === "yes").length, open: picks.filter((pick) => !pick).length };
  }
  groupCounts() {
    const all = this.groups.map((_, group) => this.standing(group)).filter(({ pictures }) => pictures);
    const kept = all.filter(({ keepers }) => keepers).length, none = all.filter(({ keepers, open }) => !keepers && !open).length;
    return { all: all.length, kept, none, open: all.length - kept - none };
  }
  // How many items each of these shows.
  counts(shows) {
    const found = Object.fromEntries(shows.map((show) => [show, 0]));
    for (let index = 0; index < this.size; index++) for (const show of shows) if (this.shows(show, index)) found[show]++;
    return found;
  }
  shows(show, index) {
    switch (show) {
      case "undecided": return this.isPicture(index) && !this.pick(index);
      case "picked": return this.isPicture(index) && this.pick(index) === "yes";
      case "rejected": return this.isPicture(index) && this.pick(index) === "no";
      case "starred": return this.isPicture(index) && this.verdict(index).stars > 0;
      case "flagged": return this.flagsOf(index).length > 0;
      case "failed": return this.hasFailed(index);
      case "waiting": return "pqr".includes(this.s[index]);
      case "arrived": return !"pqr".includes(this.s[index]);
      case "pictures": return this.isPicture(index);
      default: return true;
    }
  }

  // The list that a view shows: a snapshot. words: of a search. among: numbers of items that a filter means, or null.
  list({ view, show, sort, words, among, prompt }) {
    const parts = (words || "").toLowerCase().split(/\s+/).filter(Boolean);
    const hits = parts.length && this.prompts.map((one) => parts.every((part) => one.join(" ").toLowerCase().includes(part)));
    const all = view === "wall" ? this.order : this._made("byGroup", () => {
      const prompts = [...new Set(this.order.map((index) => this.prompt(index)))];
      return prompts.flatMap((one) => this.groupsOf(one)).flatMap((group) => this.members(group));
    });
    const found = all.filter((index) => (prompt === undefined || this.prompt(index) === prompt) && (!hits || hits[this.prompt(index)])
      && (!among || among.has(this.n[index])) && this.shows(show || (view === "wall" ? "arrived" : ""), index));
    const by = {
      newest: (a, b) => this.t[b] - this.t[a],
      slowest: (a, b) => this.d[b] - this.d[a],
      stars: (a, b) => (this.verdict(b).stars || 0) - (this.verdict(a).stars || 0),
      prompt: (a, b) => this.promptText(a).localeCompare(this.promptText(b)),
    }[sort];
    return by && view === "wall" ? found.sort(by) : found;
  }
}

// Verdicts of a decision on one picture: [[index, pick], ...]; only: this one, and not the others of its group.
export function decision(model, index, action) {
  const all = model.members(model.g[index]).filter((one) => model.isPicture(one));
  if (action === "only") return all.map((one) => [one, one === index ? "yes" : "no"]);
  if (action === "none") return all.map((one) => [one, "no"]);
  return [[index, { pick: "yes", reject: "no", undecide: null }[action]]];
}

// The first place behind this one, around the end of the list, that fits; -1 for none.
function around(list, place, fits) {
  for (let step = 1; step <= list.length; step++) if (fits(list[(place + step) % list.length])) return (place + step) % list.length;
  return -1;
}
// The place in a list to go to behind a decision; -1 for nowhere.
export function next(model, list, place, action) {
  const group = model.g[list[place]];
  if (action !== "only" && action !== "none") return list.findIndex((index, at) => at > place && model.isPicture(index));
  const open = around(list, place, (index) => model.g[index] !== group && model.isPicture(index) && model.standing(model.g[index]).open);
  return open >= 0 ? open : list.findIndex((index, at) => at > place && model.g[index] !== group);
}
export const nextUndecided = (model, list, place) => around(list, place, (index) => model.isPicture(index) && !model.pick(index));

// The place in the group above (-1) or below (1), as far from its first one as goal says; in a shorter group the last.
export function across(groupOf, count, place, step, goal) {
  let to = place;
  while (to >= 0 && to < count && groupOf(to) === groupOf(place)) to += step;
  if (to < 0 || to >= count) return place;
  while (step < 0 && to > 0 && groupOf(to - 1) === groupOf(to)) to--;
  for (let left = goal; left && to + 1 < count && groupOf(to + 1) === groupOf(to); left--) to++;
  return to;
}

// Pictures to compare with this one: the marked ones, else those of its group that are not rejected; 2 to 4.
export function toCompare(model, index, marks) {
  const marked = [...marks].filter((one) => model.isPicture(one));
  if (marked.length > 1) return marked.slice(0, 4);
  const group = model.members(model.g[index]).filter((one) => model.isPicture(one));
  const wanted = group.filter((one) => one === index || model.pick(one) !== "no");
  const all = wanted.length > 1 ? wanted : group, from = Math.max(0, Math.min(all.indexOf(index), all.length - 4));
  return all.slice(from, from + 4);
}

// Whether a text in the box is a filter or words to search for.
export const isFilter = (text) => /[=<>]|\bflag:\w|^\s*not\s|["')\]]\s+in\s|\bin\s*[(["']|\bin (prompt|tags|flag|meta\.|inputs\.|chosen\.)/.test(text);
