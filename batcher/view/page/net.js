// The server, or the data beside a page that has none.

const STATIC = globalThis.BATCHER || null;
export const isStatic = Boolean(STATIC);

export class Failure extends Error {
  constructor(facts, status) { super(facts.error || `answer ${status}`); this.hint = facts.hint || ""; this.status = status; }
}

async function ask(path, options) {
  const answer = await fetch(path, { credentials: "same-origin", ...options }).catch(() => {
    throw new Failure({ error: "the page's server does not answer", hint: "Is `batcher view` still there? Nothing is lost: start it again." }, 0);
  });
  const facts = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failure(facts, answer.status);
  return facts;
}
const post = (path, body) => ask(path, {
  method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-Batcher-Page": "1" },
});

export const list = async () => STATIC ? STATIC.list : ask("runs");

// The token of the address becomes a cookie, and leaves the address.
export async function signIn() {
  const token = location.hash.slice(1);
  if (STATIC || !/^[\w-]{20,}$/.test(token)) return;
  await post("session", { token });
  history.replaceState(null, "", "#");
}

export class Run {
  constructor(name) { this.name = name; this._base = `runs/${encodeURIComponent(name)}`; this._at = ""; this._source = null; }

  async index() {
    const index = STATIC ? STATIC.index : await ask(`${this._base}/index`);
    this._at = index.at;
    return index;
  }
  where(text) { return ask(`${this._base}/where?q=${encodeURIComponent(text)}`); }
  undo() { return ask(`${this._base}/undo`); }
  job(key) { return STATIC ? Promise.resolve(STATIC.jobs[key]) : ask(`${this._base}/job/${key}`); }
  // In the order they were made: a question about the run knows every verdict given before it.
  change(what, body) {
    const send = () => post(`${this._base}/${what}`, body);
    return this._last = Promise.resolve(this._last).then(send, send);
  }
  thumb(key, output, sha) { return STATIC ? `thumbs/${key}.${output}.webp` : `${this._base}/thumb/${key}/${output}?${sha}`; }
  picture(key, output, sha) { return STATIC ? STATIC.files[`${key}.${output}`] : `${this._base}/picture/${key}/${output}?${sha}`; }

  // Messages as they come, while the page is seen. on: called with each; state: with "live", "asking" or "gone".
  follow(on, state) {
    if (STATIC) return;
    let failures = 0, timer = 0;
    const take = (message, at) => { if (at) this._at = at; on(message); };
    const poll = async () => {
      if (document.hidden) return;
      try {
        const { at, messages } = await ask(`${this._base}/changes?since=${this._at}`);
        state("asking");
        for (const message of messages) take(message, at);
        this._at = at;
        if (failures >= 3) timer = setTimeout(poll, 1000); else open();
      } catch { state("gone"); timer = setTimeout(poll, 3000); }
    };
    const close = () => { this._source?.close(); clearTimeout(timer); };
    const open = () => {
      close();
      if (document.hidden) return;
      if (!globalThis.EventSource) { failures = 3; poll(); return; }
      const source = this._source = new EventSource(`${this._base}/events?since=${this._at}`);
      source.onopen = () => { failures = 0; state("live"); };
      source.onmessage = (event) => take(JSON.parse(event.data), event.lastEventId);
      source.onerror = () => { failures++; close(); timer = setTimeout(poll, 500); };
    };
    document.addEventListener("visibilitychange", () => document.hidden ? close() : open());
    open();
  }
}

// What this browser remembers: saved(name), saved(name, value). A page from a disk keeps its verdicts here too.
export function saved(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(`batcher-${name}`);
    localStorage.setItem(`batcher-${name}`, value);
  } catch { /* private mode */ }
  return null;
}
const PICKS = `picks-${location.pathname}`;
saved.lines = () => JSON.parse(saved(PICKS) || "[]");
saved.add = (verdicts) => {
  const at = new Date().toISOString();
  saved(PICKS, JSON.stringify([...saved.lines(), ...verdicts.map((one) => ({ at, by: "", ...one, sha256: STATIC.shas[`${one.job}.${one.output_index}`] || null }))]));
};

// What a filter asks of an item of a page from a disk.
export function valueOf(model, index, name) {
  const { inputs, meta, chosen, facts } = STATIC.jobs[model.k[index]], [place, ...rest] = name.split("."), last = rest.join(".");
  if (last) return { inputs, meta, chosen }[place]?.[last];
  if (["pick", "stars", "tags"].includes(name)) return model.verdict(index)[name];
  return name === "flag" ? model.flagsOf(index) : inputs[name] ?? facts[model.output(index)]?.[name] ?? chosen[name];
}
