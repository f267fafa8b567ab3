// What the page knows of a run: items (pictures, and jobs without one), groups, prompts, verdicts. No DOM.

const NAMES = ["n", "k", "s", "g", "r", "c", "w", "h", "v", "t", "d", "e", "o"];
export const STATES = { p: "waiting", q: "at the service", r: "to download", d: "done", f: "failed", c: "cancelled", x: "in doubt" };
const NOTHING = Object.freeze({ pick: null, stars: null, tags: [], note: null, sha: "" });

export class Model {
  constructor() {
    for (const name of NAMES) this[name] = [];
    this.at = new Map();        // number of an item -> index
    this.prompts = []; this.groups = []; this.causes = [];
    this.verdicts = new Map();  // "key.output" -> verdict
    this.mine = new Map();      // "key.output" -> what this page said and the server has not told back yet
    this.axes = { rows: null, cols: null, hidden: [] };
    this.facts = {};
    this.broken = new Set();    // indexes whose picture can't be shown
    this._order = null; this._members = null; this._ofPrompt = null;
  }

  get size() { return this.n.length; }

  // A message of the server. Returns { items: changed indexes, fresh: new indexes, picks: changed indexes }.
  take(message) {
    const found = { items: [], fresh: [], picks: [] };
    if (message.axes) this.axes = message.axes;
    if (message.facts) this.facts = message.facts;
    for (const [name, [from, rows]] of Object.entries(message.tables || {}))
      rows.forEach((row, number) => { this[name][from + number] = row; });
    if (message.items) this._items(message.items, found);
    for (const [job, output, pick, stars, tags, note, sha] of message.picks || []) {
      const name = `${job}.${output}`, mine = this.mine.get(name);
      if (mine && mine.until > Date.now()) {  // what this page said since is newer than this echo of an earlier line
        if (mine.text === JSON.stringify([pick, stars, tags, note])) this.mine.delete(name);
        else continue;
      }
      this.verdicts.set(name, { pick, stars, tags, note, sha });
      const index = this.find(job, output);
      if (index !== undefined) found.picks.push(index);
    }
    return found;
  }

  _items(columns, found) {
    const count = columns.n.length;
    if (!this.size) {
      for (const name of NAMES) this[name] = columns[name];
      for (let index = 0; index < count; index++) { this.at.set(this.n[index], index); found.fresh.push(index); }
    } else {
      for (let row = 0; row < count; row++) {
        let index = this.at.get(columns.n[row]);
        if (index === undefined) {
          index = this.size;
          this.at.set(columns.n[row], index);
          found.fresh.push(index);
        } else found.items.push(index);
        for (const name of NAMES) this[name][index] = columns[name][row];
        this.broken.delete(index);
      }
    }
    this._order = this._members = this._ofPrompt = this._keys = null;
  }

  output(index) { return this.n[index] % 1000; }
  name(index) { return `${this.k[index]}.${this.output(index)}`; }
  find(job, output) {
    if (!this._keys) {
      this._keys = new Map();
      for (let index = 0; index < this.size; index++) this._keys.set(this.name(index), index);
    }
    return this._keys.get(`${job}.${output}`);
  }

  say(index, { pick, stars, tags, note }) {
    this.verdicts.set(this.name(index), { pick, stars, tags, note, sha: this.v[index] });
    this.mine.set(this.name(index), { text: JSON.stringify([pick, stars, tags, note]), until: Date.now() + 4000 });
  }
  verdict(index) {
    const found = this.verdicts.get(this.name(index));
    return found && !this.isStale(found, index) ? found : NOTHING;
  }
  isStale(verdict, index) { return Boolean(verdict.sha && this.v[index] && verdict.sha !== this.v[index]); }
  pick(index) { return this.verdict(index).pick; }
  isPicture(index) { return this.s[index] === "d" && this.v[index] !== ""; }
  ratio(index) { return Math.min(4, Math.max(0.25, this.w[index] / this.h[index])); }
  prompt(index) { return this.groups[this.g[index]][0]; }
  promptText(index) { return this.prompts[this.prompt(index)][0]; }
  label(index) { return this.groups[this.g[index]][1]; }
  seed(index) { return this.axes.rows === "seed" ? this.r[index] : this.axes.cols === "seed" ? this.c[index] : null; }
  cause(index) { return this.e[index] < 0 ? null : this.causes[this.e[index]]; }

  // All items in the order of the manifest.
  order() {
    if (!this._order) {
      this._order = Array.from({ length: this.size }, (_, index) => index);
      let sorted = true;
      for (let index = 1; index < this.size && sorted; index++) sorted = this.o[index - 1] <= this.o[index];
      if (!sorted) this._order.sort((a, b) => this.o[a] - this.o[b] || this.n[a] - this.n[b]);
    }
    return this._order;
  }

  // Items of a group, in order.
  members(group) {
    if (!this._members) {
      this._members = this.groups.map(() => []);
      for (const index of this.order()) this._members[this.g[index]].push(index);
    }
    return this._members[group];
  }

  // Groups of a prompt.
  groupsOf(prompt) {
    if (!this._ofPrompt) {
      this._ofPrompt = this.prompts.map(() => []);
      this.groups.forEach(([number], group) => this._ofPrompt[number].push(group));
    }
    return this._ofPrompt[prompt];
  }

  // keeper: something is picked. open: pictures without a verdict.
  standing(group) {
    let keepers = 0, open = 0, pictures = 0;
    for (const index of this.members(group)) {
      if (!this.isPicture(index)) continue;
      pictures++;
      const pick = this.pick(index);
      if (pick === "yes") keepers++; else if (!pick) open++;
    }
    return { keepers, open, pictures };
  }

  counts() {
    const found = { all: this.size, pictures: 0, undecided: 0, picked: 0, rejected: 0, starred: 0, failed: 0, waiting: 0 };
    for (let index = 0; index < this.size; index++) {
      if (this.isPicture(index)) {
        found.pictures++;
        const verdict = this.verdict(index);
        found[verdict.pick === "yes" ? "picked" : verdict.pick === "no" ? "rejected" : "undecided"]++;
        if (verdict.stars) found.starred++;
      } else found["fcxd".includes(this.s[index]) ? "failed" : "waiting"]++;
    }
    return found;
  }

  groupCounts() {
    const found = { all: 0, kept: 0, open: 0, none: 0 };
    for (let group = 0; group < this.groups.length; group++) {
      const { keepers, open, pictures } = this.standing(group);
      if (!pictures) continue;
      found.all++;
      if (keepers) found.kept++; else if (open) found.open++; else found.none++;
    }
    return found;
  }

  shows(show, index) {
    const picture = this.isPicture(index), pick = picture ? this.pick(index) : null;
    switch (show) {
      case "undecided": return picture && !pick;
      case "picked": return pick === "yes";
      case "rejected": return pick === "no";
      case "starred": return picture && Boolean(this.verdict(index).stars);
      case "failed": return !picture && "fcxd".includes(this.s[index]);
      case "waiting": return "pqr".includes(this.s[index]);
      case "pictures": return picture || !"pqr".includes(this.s[index]);
      default: return true;
    }
  }

  // The list that a view shows: a snapshot. words: of a search. among: numbers of items that a filter means, or null.
  list({ view, show, sort, words, among, prompt }) {
    const found = [];
    const hits = words ? this._search(words) : null;
    if (!show && view === "wall") show = "pictures";
    for (const index of view === "groups" || view === "grid" ? this._byGroup() : this.order()) {
      if (prompt !== undefined && this.prompt(index) !== prompt) continue;
      if (hits && !hits.has(this.prompt(index))) continue;
      if (among && !among.has(this.n[index])) continue;
      if (this.shows(show, index)) found.push(index);
    }
    const by = {
      newest: (a, b) => this.t[b] - this.t[a],
      slowest: (a, b) => this.d[b] - this.d[a],
      stars: (a, b) => (this.verdict(b).stars || 0) - (this.verdict(a).stars || 0),
      prompt: (a, b) => this.promptText(a).localeCompare(this.promptText(b)),
    }[sort];
    return by && view === "wall" ? found.sort(by) : found;
  }

  _byGroup() {
    const seen = new Set(), found = [];
    for (const index of this.order()) {
      const prompt = this.prompt(index);
      if (seen.has(prompt)) continue;
      seen.add(prompt);
      for (const group of this.groupsOf(prompt)) found.push(...this.members(group));
    }
    return found;
  }

  _search(words) {
    const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = new Set();
    this.prompts.forEach(([text, id], number) => {
      const whole = `${text} ${id}`.toLowerCase();
      if (parts.every((part) => whole.includes(part))) hits.add(number);
    });
    return hits;
  }
}

// Verdicts of a decision on one picture: [[index, pick], ...]; only: this one, and not the others of its group.
export function decision(model, index, action) {
  const others = model.members(model.g[index]).filter((one) => model.isPicture(one));
  if (action === "only") return others.map((one) => [one, one === index ? "yes" : "no"]);
  if (action === "none") return others.map((one) => [one, "no"]);
  return [[index, { pick: "yes", reject: "no", undecide: null }[action]]];
}

// The place in a list to go to behind a decision; -1 for nowhere.
export function next(model, list, place, action) {
  if (action === "only" || action === "none") {
    const group = model.g[list[place]];
    for (let step = 1; step <= list.length; step++) {
      const at = (place + step) % list.length;
      if (model.g[list[at]] !== group && model.isPicture(list[at]) && model.standing(model.g[list[at]]).open) return at;
    }
    let at = place;
    while (at < list.length && model.g[list[at]] === group) at++;
    return at < list.length ? at : -1;
  }
  for (let at = place + 1; at < list.length; at++) if (model.isPicture(list[at])) return at;
  return -1;
}

export function nextUndecided(model, list, place) {
  for (let step = 1; step <= list.length; step++) {
    const at = (place + step) % list.length;
    if (model.isPicture(list[at]) && !model.pick(list[at])) return at;
  }
  return -1;
}

// Pictures to compare with this one: the marked ones, else those of its group that are not rejected; 2 to 4.
export function toCompare(model, index, marks) {
  const marked = [...marks].filter((one) => model.isPicture(one));
  if (marked.length > 1) return marked.slice(0, 4);
  const group = model.members(model.g[index]).filter((one) => model.isPicture(one));
  const wanted = group.filter((one) => one === index || model.pick(one) !== "no");
  const all = wanted.length > 1 ? wanted : group;
  const from = Math.max(0, Math.min(all.indexOf(index), all.length - 4));
  return all.slice(from, from + 4);
}

// Whether a text in the box is a filter or words to search for.
export function isFilter(text) {
  return /[=<>]|^\s*not\s|["')\]]\s+in\s|\bin\s*[(["']|\bin (prompt|tags|flag|meta\.|inputs\.|chosen\.)/.test(text);
}
