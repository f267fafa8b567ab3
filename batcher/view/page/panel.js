// The side panel of one picture, and the dialogs. What they say of a run comes from the server in words.

import { $, button, clear, command, h, plain, problem } from "./dom.js";

const rows = ([title, facts]) => [h("h2", {}, title), h("dl", {}, Object.entries(facts).filter(([, value]) => (value ?? "") !== "").map(([name, value]) =>
  [h("dt", {}, plain(name)), h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))]))];

// One job: what was asked, what it cost, what came of it.
export async function info({ model, run }, index) {
  const { inputs: { prompt }, sections, files } = await run.job(model.k[index]), { pick, stars, tags, note } = model.verdict(index);
  const file = files[model.output(index)], said = { pick: pick || "undecided", stars, tags: tags.join(", "), note, flags: model.flagsOf(index).join(", ") };
  return [h("h2", {}, "Prompt"), h("p", { class: "prompt" }, prompt), [["Verdict", said], ...sections].map(rows),
    file && [rows(["File", file]), h("p", {}, h("a", { href: run.picture(...model.place(index)), target: "_blank", rel: "noopener" }, "Open the original"))]];
}

// What tells this job from the others of its prompt.
export async function differs({ model, run }, index) {
  const all = model.groupsOf(model.prompt(index)).flatMap((group) => model.members(group));
  const from = Math.max(0, Math.min(all.indexOf(index) - 5, all.length - 12)), some = all.slice(from, from + 12);
  const flat = (await Promise.all(some.map((one) => run.job(model.k[one])))).map(({ inputs, meta, model: name, state, cost_usd }, at) => ({
    ...inputs, ...Object.fromEntries(Object.entries(meta).map(([key, value]) => [`meta.${key}`, value])), model: name, state, seconds: model.d[some[at]] || null, cost_usd,
  }));
  const names = [...new Set(flat.flatMap(Object.keys))].filter((name) => new Set(flat.map((one) => JSON.stringify(one[name]))).size > 1);
  return [h("h2", {}, "What differs"), h("p", { class: "prompt" }, model.promptText(index)),
    names.length ? h("table", { class: "differs" }, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, flat.map((one, at) => h("tr", { "aria-current": some[at] === index && "true" }, names.map((name) => h("td", {}, String(one[name] ?? "–"))))))) : h("p", {}, "Nothing: it is alone, or they are copies.")];
}

// Shows a dialog of the page; resolves with the value of the button that closed it.
export function show(id) {
  const box = $(id);
  box.returnValue = "";
  box.showModal();
  return new Promise((resolve) => box.addEventListener("close", () => resolve(box.returnValue), { once: true }));
}

// A question whose answer changes something: retry, more, export. What it would do is said first, and again when an
// input changes. body: what the server is asked.
export function question(app, id, body) {
  const box = $(id), go = box.querySelector(".primary"), shown = box.querySelector(".shown");
  const ask = async (dry) => {
    go.disabled = true;
    try {
      const { words, command: line, resume, nothing } = await app.run.change(id, { ...body(), dry_run: dry });
      clear(shown, words.map((one) => h("p", {}, one)), dry ? command(line) : resume && !app.model.facts.going && [h("p", {}, "A run takes them up:"), command(resume)]);
      go.disabled = nothing;
      go.hidden = !dry || app.readOnly;
    } catch (error) { clear(shown, problem(error)); }
  };
  clear(shown, h("p", {}, "Asking…"));
  go.onclick = () => ask(false); box.onchange = () => ask(true);
  ask(true);
  return show(id);
}

// Tags and a note; null where nothing is to be saved.
export async function tags({ model }, index) {
  const [input, note] = ["tag-words", "tag-note"].map($), verdict = model.verdict(index);
  clear($("all-tags"), [...new Set([...model.verdicts.values()].flatMap((one) => one.tags))].map((tag) => h("option", { value: tag })));
  input.value = verdict.tags.join(", "); note.value = verdict.note || "";
  return await show("tags") === "save" ? { tags: input.value.split(",").map((tag) => tag.trim()).filter(Boolean), note: note.value.trim() || null } : null;
}
