// The server, or the data beside a page that has none, by the same paths.

import { broken, col, flagsOf, name, output, verdict } from "./model.js";

const STATIC = globalThis.BATCHER;
export const isStatic = Boolean(STATIC);
let base = "", at = "", last;

const failure = ({ error, hint = "" }, status) => Object.assign(new Error(error || `answer ${status}`), { hint, status });
async function ask(path, body) {
	if (STATIC) throw failure({ error: "That needs the page of `batcher view`." });
	const headers = { "Content-Type": "application/json", "X-Batcher-Page": "1" };
	const answer = await fetch(path, body && { method: "POST", body: JSON.stringify(body), headers }).catch(() => {
		throw failure({ error: "the page's server does not answer", hint: "Is `batcher view` still there? Nothing is lost: start it again." }, 0);
	});
	const facts = await answer.json().catch(() => ({}));
	if (!answer.ok) throw failure(facts, answer.status);
	return facts;
}
export const get = async (path) => STATIC ? STATIC[path] : ask(base + path);

// The token of the address becomes a cookie, and leaves the address.
export async function signIn() {
	const token = location.hash.slice(1);
	if (STATIC || !/^[\w-]{20,}$/.test(token)) return;
	await ask("session", { token });
	history.replaceState(null, "", "#");
}
export const choose = (run) => { base = `runs/${encodeURIComponent(run)}/`; };
export async function index() {
	const all = await get("index");
	at = all.at;
	return all;
}
// In order: a question about the run knows every verdict before it.
export function change(what, body) {
	const send = () => ask(base + what, body);
	return last = Promise.resolve(last).then(send, send);
}
const path = (what, i) => `${base}${what}/${col.k[i]}/${output(i)}?${col.v[i]}`;
export const thumb = (i) => STATIC ? `thumbs/${name(i)}.webp` : path("thumb", i);
export const picture = (i) => STATIC ? STATIC.files[name(i)] : path("picture", i);
// Why a picture did not come; false where that is not its fault.
export async function isBroken(i) {
	const { status, message, hint } = await ask(path("thumb", i)).catch((error) => error);
	return [404, 422, undefined].includes(status) && broken.set(i, ["missing or damaged", !STATIC && message, hint]);
}

// Messages as they come, while the page is seen. on: takes each; state: "live", "asking" or "gone".
export function follow(on, state) {
	if (STATIC) return;
	let failures = 0, timer, source;
	const poll = async () => {
		try {
			const answer = await ask(`${base}changes?since=${at}`);
			answer.messages.forEach(on);
			at = answer.at;
			state("asking");
		} catch { state("gone"); }
		timer = setTimeout(poll, 1000);
	};
	const listen = () => {
		source?.close();
		clearTimeout(timer);
		if (document.hidden) return;
		source = new EventSource(`${base}events?since=${at}`);
		source.onopen = () => { failures = 0; state("live"); };
		source.onmessage = ({ data, lastEventId }) => { at = lastEventId; on(JSON.parse(data)); };
		const fall = () => { source.close(); poll(); };
		timer = setTimeout(() => source.readyState || fall(), 5000);  // a proxy may hold all back
		source.onerror = () => {  // it tries again by itself, unless it was refused
			if (++failures > 2 || source.readyState > 1) fall();
		};
	};
	document.addEventListener("visibilitychange", listen);
	listen();
}

// What this browser remembers.
export function saved(name, value) {
	try {
		if (value === undefined) return localStorage.getItem(`batcher-${name}`);
		localStorage.setItem(`batcher-${name}`, value);
	} catch { /* private mode */ }
	return null;
}
// Verdicts of a page from a disk. Undo takes away the last ones.
const PICKS = `picks-${location.pathname}`;
const wire = (one) => [one.job, one.output_index, one.pick, one.stars, one.tags, one.note, ""];
export const kept = {
	lines: () => JSON.parse(saved(PICKS) || "[]"),
	picks: () => kept.lines().map(wire),
	add(verdicts) {
		const now = new Date().toISOString(), stamped = verdicts.map((one) => ({ at: now, by: "", ...one, sha256: STATIC.shas[`${one.job}.${one.output_index}`] }));
		saved(PICKS, JSON.stringify([...kept.lines(), ...stamped]));
	},
	undo() {
		const lines = kept.lines(), left = lines.filter((one) => one.at !== lines.at(-1).at);
		saved(PICKS, JSON.stringify(left));
		const gone = lines.slice(left.length).map((one) => ({ ...one, pick: null, stars: null, tags: [], note: null }));
		return { picks: gone.length ? [...gone.map(wire), ...STATIC.index.picks, ...left.map(wire)] : [] };
	},
};

// What a filter asks of an item of a page from a disk.
export function valueOf(i, name) {
	if (name === "flag") return flagsOf(i);
	const own = verdict(i), { values, outputs } = STATIC[`job/${col.k[i]}`];
	return name in own ? own[name] : outputs[output(i)]?.[name] ?? values[name];
}
