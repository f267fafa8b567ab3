// The server, or the data beside a page that has none.

const STATIC = globalThis.BATCHER || null;

export class Failure extends Error {
  constructor(facts, status) { super(facts.error || `answer ${status}`); this.hint = facts.hint || ""; this.status = status; }
}

async function ask(path, options) {
  let answer;
  try { answer = await fetch(path, { credentials: "same-origin", ...options }); } catch {
    throw new Failure({ error: "the page's server does not answer", hint: "Is `batcher view` still there? Nothing is lost: start it again." }, 0);
  }
  const facts = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failure(facts, answer.status);
  return facts;
}
const post = (path, body) => ask(path, {
  method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-Batcher-Page": "1" },
});

export const isStatic = Boolean(STATIC);
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
  job(key) { return STATIC ? Promise.resolve(STATIC.jobs[key]) : ask(`${this._base}/job/${key}`); }
  change(what, body) { return post(`${this._base}/${what}`, body); }
  thumb(key, output, sha) { return STATIC ? `thumbs/${key}.${output}.webp` : `${this._base}/thumb/${key}/${output}?${sha}`; }
  picture(key, output, sha) { return STATIC ? STATIC.files[`${key}.${output}`] : `${this._base}/picture/${key}/${output}?${sha}`; }

  // Messages as they come, while the page is seen. on: called with each; state: with "live", "asking" or "gone".
  follow(on, state) {
    if (STATIC) return;
    let failures = 0, timer = 0;
    const take = (message, at) => { if (at) this._at = at; on(message); };
    const poll = async () => {
      clearTimeout(timer);
      if (document.hidden) return;
      try {
        const found = await ask(`${this._base}/changes?since=${this._at}`);
        state(this._source ? "live" : "asking");
        for (const message of found.messages) take(message, found.at);
        this._at = found.at;
        if (failures >= 3) timer = setTimeout(poll, 1000); else open();
      } catch { state("gone"); timer = setTimeout(poll, 3000); }
    };
    const close = () => { if (this._source) this._source.close(); this._source = null; clearTimeout(timer); };
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
