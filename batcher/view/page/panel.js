// The side panel of one picture, and the dialogs.

import { bytes, button, clear, command, duration, h, number, plural, quote, usd } from "./dom.js";
import { KEYS } from "./keys.js";

const rows = (facts) => h("dl", {}, Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [
  h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))]));

// One job: what was asked, what it cost, what came of it.
export async function details(element, app, index) {
  const { model, run } = app, verdict = model.verdict(index);
  const job = await run.job(model.k[index]);
  const picture = job.pictures.find((one) => one.output_index === model.output(index)) || {};
  const cause = model.cause(index), last = job.attempts?.at(-1) || {};
  const { prompt, ...inputs } = job.inputs;
  clear(element,
    h("h2", {}, "Inputs"), prompt ? h("p", { class: "prompt" }, prompt) : null, rows(inputs),
    Object.keys(job.meta).length ? [h("h2", {}, "Meta"), rows(job.meta)] : null,
    h("h2", {}, "Verdict"), rows({ pick: verdict.pick || "undecided", stars: verdict.stars, tags: verdict.tags.join(", "), note: verdict.note }),
    h("h2", {}, "Job"), rows({
      state: job.state.replace("_", " "), cause: cause && cause[0] !== "warning" ? `${cause[0]}: ${cause[1]}` : null, warning: picture.warning,
      cost: job.cost_usd === null ? null : usd(job.cost_usd), took: model.d[index] ? duration(model.d[index]) : null,
      finished: model.t[index] ? new Date(model.t[index] * 1000).toLocaleString() : null, request: last.request_id,
      attempts: job.attempts?.length > 1 ? job.attempts.map((one) => one.outcome).join(", ") : null, model: job.model, id: job.prompt_id, source: job.source, job: job.job,
    }),
    picture.file ? [h("h2", {}, "File"), rows({ file: picture.file, size: `${picture.width} × ${picture.height}, ${bytes(picture.bytes)}`, sha256: picture.sha256 }),
      h("p", {}, h("a", { href: run.picture(model.k[index], model.output(index), model.v[index]), target: "_blank", rel: "noopener" }, "Open the original"))] : null);
}

// What tells this job from the others of its prompt.
export async function differs(element, app, index) {
  const { model, run } = app;
  const all = model.groupsOf(model.prompt(index)).flatMap((group) => model.members(group));
  const from = Math.max(0, Math.min(all.indexOf(index) - 5, all.length - 12)), some = all.slice(from, from + 12);
  const jobs = await Promise.all(some.map((one) => run.job(model.k[one])));
  const flat = jobs.map((job, at) => ({ ...job.inputs, ...Object.fromEntries(Object.entries(job.meta).map(([name, value]) => [`meta.${name}`, value])), model: job.model, state: job.state, took: model.d[some[at]] || null, cost: job.cost_usd }));
  const names = [...new Set(flat.flatMap(Object.keys))].filter((name) => new Set(flat.map((one) => JSON.stringify(one[name]))).size > 1);
  const current = some.indexOf(index);
  clear(element, h("h2", {}, "What differs"), h("p", { class: "prompt" }, model.promptText(index)),
    names.length ? h("table", { class: "differs" }, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, flat.map((one, at) => h("tr", at === current ? { "aria-current": "true" } : {}, names.map((name) => h("td", {}, one[name] === null || one[name] === undefined ? "–" : String(one[name]))))))) : h("p", {}, "Nothing: it is alone, or they are copies."));
}

// A dialog; resolves when it is closed.
export function dialog(title, inside, buttons = []) {
  return new Promise((resolve) => {
    const box = h("dialog", { "aria-label": title }, h("form", { method: "dialog" }, h("h2", {}, title), inside,
      h("div", { class: "buttons" }, buttons, h("button", { value: "", class: "quiet" }, "Close"))));
    box.addEventListener("close", () => { box.remove(); resolve(box.returnValue); });
    box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
    box.addEventListener("keydown", (event) => event.stopPropagation());
    document.body.append(box);
    box.showModal();
  });
}

export const problem = (error) => h("p", { class: "problem", role: "alert" }, error.message, error.hint ? h("span", {}, ` ${error.hint}`) : null);

export function help(app) {
  const move = h("input", { type: "checkbox", checked: app.movesOn, onchange: () => app.setMovesOn(move.checked) });
  return dialog("Keys", [h("div", { class: "keys" }, KEYS.map(([title, keys]) => h("section", {}, h("h3", {}, title), keys.map(([key, , words]) => h("p", {}, h("span", {}, key.split(" ").map((one) => one === "–" ? "–" : h("kbd", {}, one))), h("span", {}, words)))))),
    h("label", { class: "check" }, move, "Go on to the next picture after a verdict"), h("p", { class: "note" }, "Nothing is ever deleted: a rejected picture stays where it is.")]);
}

// A question whose answer changes something: what it would do is asked first, and shown.
export async function confirm(title, ask, words, line, verb, act) {
  const inside = h("div", {}, h("p", { class: "note" }, "Asking…"));
  const go = button(verb, async () => {
    go.disabled = true;
    try { clear(inside, words(await act(), true)); go.remove(); } catch (error) { clear(inside, problem(error)); go.remove(); }
  }, { class: "primary", disabled: true });
  const closed = dialog(title, [inside, line ? command(line) : null], [go]);
  try {
    const found = await ask();
    clear(inside, words(found, false));
    go.disabled = found.nothing === true;
    if (!go.disabled) go.focus();
  } catch (error) { clear(inside, problem(error)); go.remove(); }
  return closed;
}

export function retry(app, which) {
  const { run, model } = app, facts = model.facts;
  const line = `batcher retry ${quote(facts.run)}${which.states.filter((one) => one !== "failed").map((one) => ` --state ${one}`).join("")}${(which.causes || []).map((one) => ` --cause ${quote(one)}`).join("")}${(which.keys || []).map((one) => ` --job ${one}`).join("")}`;
  return confirm("Retry", async () => {
    const found = await run.change("retry", { ...which, dry_run: true });
    return { ...found, nothing: !found.reopened && !found.collected_again };
  }, (found, done) => [
    found.reopened ? h("p", {}, `${plural(found.reopened, "job")} ${done ? "reopened" : "would be submitted again"}, which may cost ${found.may_cost_usd === null ? "an unknown amount" : `up to ${usd(found.may_cost_usd)}`}.`) : null,
    found.collected_again ? h("p", {}, `${plural(found.collected_again, "job")} ${done ? "are" : "would be"} collected again: paid for already, asking is free.`) : null,
    found.nothing ? h("p", {}, "Nothing to reopen.") : null,
    found.in_doubt ? h("p", { class: "advice" }, "Those in doubt may be paid twice: look at your generations at the service first.") : null,
    done && found.resume && !facts.going ? [h("p", {}, "A run takes them up:"), command(found.resume)] : null,
  ].filter(Boolean), line, "Retry", () => run.change("retry", { ...which, dry_run: false }));
}

export function more(app, where) {
  const { run, model } = app;
  const seeds = h("input", { type: "number", min: "1", max: "1000", value: "4", "aria-label": "Seeds for each group" });
  const line = () => `batcher more ${quote(model.facts.run)} --seeds ${seeds.value}${where ? ` --where ${quote(where)}` : ""}`;
  const inside = h("div", {}), body = (dry) => ({ seeds: Number(seeds.value), where: where || null, dry_run: dry });
  const go = button("Add them", async () => {
    go.disabled = true;
    try {
      const found = await run.change("more", body(false));
      clear(inside, h("p", {}, `${plural(found.jobs, "job")} added.`), found.resume && !model.facts.going ? [h("p", {}, "Make them:"), command(found.resume)] : null);
    } catch (error) { clear(inside, problem(error)); }
  }, { class: "primary" });
  const ask = async () => {
    go.disabled = true;
    try {
      const found = await run.change("more", body(true));
      clear(inside, h("p", {}, `${plural(found.groups, "group")} without a keeper: ${number(found.seeds)} more seeds each = ${plural(found.jobs, "job")}, ${found.cost_usd === null ? "cost unknown" : usd(found.cost_usd)}${found.left_usd === null || found.left_usd === undefined ? "" : ` of ${usd(found.left_usd)} left in the budget`}.`), ...(found.notes || []).map((note) => h("p", { class: "advice" }, note)), command(line()));
      go.disabled = !found.jobs;
    } catch (error) { clear(inside, problem(error), command(line())); }
  };
  seeds.addEventListener("change", ask);
  ask();
  return dialog("More seeds", [h("label", { class: "line" }, "For every group without a keeper, new seeds:", seeds), inside], [go]);
}

export function exporting(app) {
  const { run, model } = app, facts = model.facts;
  const to = h("select", { "aria-label": "Form" }, ["imagefolder", "webdataset", "parquet", "captions", "pairs", "manifest", "layout"].map((name) => h("option", {}, name)));
  const what = h("select", { "aria-label": "Which" }, [["Picked", 'pick == "yes"'], ["Four stars and more", "stars >= 4"], ["Not rejected", 'pick != "no"'], ["All pictures", ""]].map(([label, value]) => h("option", { value }, label)));
  const name = h("input", { value: run.name, "aria-label": "Folder below sets/" }), shown = h("div", {}), inside = h("div", {});
  const line = () => clear(shown, command(`batcher export ${quote(facts.run)} ${quote(`sets/${name.value}`)} --to ${to.value}${what.value && to.value !== "pairs" ? ` --where ${quote(what.value)}` : ""}`));
  for (const one of [to, what, name]) one.addEventListener("input", line);
  line();
  const go = button("Export", async () => {
    go.disabled = true; clear(inside, h("p", { class: "note" }, "Writing…"));
    try {
      const found = await run.change("export", { name: name.value, to: to.value, where: to.value === "pairs" ? null : what.value || null });
      clear(inside, h("pre", {}, found.output));
    } catch (error) { clear(inside, problem(error)); }
    go.disabled = false;
  }, { class: "primary" });
  return dialog("Export", [h("label", { class: "line" }, "Pictures", what), h("label", { class: "line" }, "For", to), h("label", { class: "line" }, "Into sets/", name), shown, inside], app.readOnly ? [] : [go]);
}

export async function tags(app, index) {
  const all = new Set(); for (const verdict of app.model.verdicts.values()) verdict.tags.forEach((tag) => all.add(tag));
  const input = h("input", { value: app.model.verdict(index).tags.join(", "), list: "all-tags", "aria-label": "Tags, with commas between", autocomplete: "off" });
  const note = h("input", { value: app.model.verdict(index).note || "", "aria-label": "Note", autocomplete: "off" });
  const save = h("button", { value: "save", class: "primary" }, "Save");
  const answer = await dialog("Tags", [h("label", { class: "line" }, "Tags, with commas between", input), h("datalist", { id: "all-tags" }, [...all].map((tag) => h("option", { value: tag }))), h("label", { class: "line" }, "Note", note)], [save]);
  return answer === "save" ? { tags: input.value.split(",").map((tag) => tag.trim()).filter(Boolean), note: note.value.trim() || null } : null;
}
