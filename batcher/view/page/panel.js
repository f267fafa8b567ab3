// The side panel of one picture, and the dialogs. What they say of a run comes from the server in words.

import { $, button, clear, command, h, problem } from "./dom.js";
import * as model from "./model.js";
import { change, get, picture } from "./net.js";

const { col } = model, job = (i) => get(`job/${col.k[i]}`);
const section = ([title, facts]) => [h("h2", {}, title), h("dl", {}, Object.entries(facts).filter(([, value]) => (value ?? "") !== "").map(([name, value]) =>
	[h("dt", {}, name), h("dd", {}, typeof value === "object" ? JSON.stringify(value) : `${value}`)]))];

export async function info(i) {
	const { sections, files } = await job(i), { pick, stars, tags, note } = model.verdict(i), file = files[model.output(i)];
	const marks = { pick: pick || "undecided", stars, tags: tags.join(", "), note, flags: model.flagsOf(i).join(", ") };
	return [h("h2", {}, "Prompt"), h("p.prompt", {}, model.text(i)), [["Verdict", marks], ...sections].map(section),
		file && [section(["File", file]), h("p", {}, h("a", { href: picture(i), target: "_blank", rel: "noopener" }, "Open the original"))]];
}

export async function differs(i) {
	const some = model.near(model.groupsOf(model.prompt(i)).flatMap(model.members), i, 12), rows = (await Promise.all(some.map(job))).map(({ values }) => values);
	const names = [...new Set(rows.flatMap(Object.keys))].filter((name) => new Set(rows.map((one) => JSON.stringify(one[name]))).size > 1);
	return [h("h2", {}, "What differs"), h("p.prompt", {}, model.text(i)), names.length
		? h("table.differs", {}, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows.map((one, at) =>
			h("tr", { "aria-current": some[at] === i && "true" }, names.map((name) => h("td", {}, `${one[name] ?? "–"}`))))))
		: h("p", {}, "Nothing: it is the only one, or all are equal.")];
}

// Resolves with the value of the button that closed it.
export function show(id) {
	const box = $(id);
	box.returnValue = "";
	box.showModal();
	return new Promise((resolve) => box.addEventListener("close", () => resolve(box.returnValue), { once: true }));
}

// A question whose answer changes something: retry, more, export. What it would do is said first. body: for the server.
export function question(id, body) {
	const box = $(id), go = box.querySelector(".primary"), shown = box.querySelector(".shown");
	const ask = async (dry) => {
		go.disabled = true;
		try {
			const { words, command: line, resume, nothing } = await change(id, { ...body(), dry_run: dry });
			const then = resume && !model.facts.going && [h("p", {}, "The next run takes them:"), command(resume)];
			clear(shown, words.map((one) => h("p", {}, one)), dry ? command(line) : then);
			go.disabled = nothing;
			go.hidden = !dry || model.page.readOnly;
		} catch (error) { clear(shown, problem(error)); }
	};
	clear(shown, h("p", {}, "Asking…"));
	go.onclick = () => ask(false);
	box.onchange = () => ask(true);
	ask(true);
	return show(id);
}

// Tags and a note; nothing where they are not to be saved.
export async function tags(i) {
	const [input, note] = ["tag-words", "tag-note"].map($), verdict = model.verdict(i);
	const used = new Set([...model.verdicts.values()].flatMap((one) => one.tags));
	clear($("all-tags"), [...used].map((tag) => h("option", { value: tag })));
	input.value = verdict.tags.join(", ");
	note.value = verdict.note || "";
	if (await show("tags") === "save") return { tags: input.value.split(",").map((tag) => tag.trim()).filter(Boolean), note: note.value.trim() || null };
}
