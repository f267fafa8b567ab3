// The numbers of a run: how far, how fast, for how much, what failed and what reopens it.

import { bytes, button, clear, command, duration, h, number, plural, quote, s, usd } from "./dom.js";

const PARTS = [["done", "done"], ["at_service", "at the service"], ["to_download", "to download"], ["failed", "failed"], ["in_doubt", "in doubt"], ["cancelled", "cancelled"]];
const ADVICE = {
  in_doubt: "Submitted, but the answer was lost: it may have been paid for. Look at your generations at the service before you submit again.",
};

function plot(values, { height = 72, label, unit }) {
  const most = Math.max(...values, 1e-9), width = 300, step = width / values.length;
  const bars = values.map((value, at) => s("rect", { x: at * step + 0.5, y: height - (value / most) * (height - 4), width: Math.max(0.5, step - 1), height: (value / most) * (height - 4), rx: 1 }));
  return h("figure", { class: "plot" }, s("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `${label}, at most ${unit(most)}` }, bars));
}

// How many ended in each of `count` equal parts of the time, and how long that is.
export function overTime(times, count) {
  const ended = times.filter(Boolean);
  if (ended.length < 2) return null;
  let first = Infinity, last = 0;
  for (const one of ended) { if (one < first) first = one; if (one > last) last = one; }
  const step = Math.max(1, (last - first + 1) / count), found = Array(Math.min(count, Math.max(2, Math.ceil((last - first + 1) / step)))).fill(0);
  for (const one of ended) found[Math.min(found.length - 1, Math.floor((one - first) / step))]++;
  return { counts: found, step, first, last };
}

export function spread(values, count) {
  const sorted = values.filter((one) => one > 0).sort((a, b) => a - b);
  if (sorted.length < 2) return null;
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const low = sorted[0], high = Math.max(at(0.99), low + 0.1), found = Array(count).fill(0);
  for (const one of sorted) found[Math.max(0, Math.min(count - 1, Math.floor(((one - low) / (high - low)) * count)))]++;
  return { counts: found, low, high, median: at(0.5), late: at(0.9) };
}

const card = (title, ...inside) => h("section", { class: "card" }, h("h2", {}, title), ...inside);
const figure = (value, words, kind = "") => h("div", { class: `figure ${kind}` }, h("b", {}, value), h("span", {}, words));

// do: { go(view, options), retry(which), more(), export(), tune(changes) }.
export function draw(element, app, act) {
  const { model, readOnly } = app, facts = model.facts;
  if (!facts || facts.total === undefined) { clear(element, h("p", { class: "empty" }, "No numbers yet.")); return; }
  const typing = element.contains(document.activeElement) && document.activeElement.matches("input");
  if (typing) return;
  const scroll = element.scrollTop;
  clear(element, h("div", { class: "overview" }, progress(facts), trouble(facts, act, readOnly), h("div", { class: "column" }, choosing(app, act), money(facts)), h("div", { class: "column" }, speed(model, facts), readOnly ? null : control(facts, act))));
  element.scrollTop = scroll;
}

function progress(facts) {
  const waiting = Math.max(0, facts.pending - facts.at_service - facts.to_download);
  const words = facts.going ? (facts.control?.paused ? "paused" : "running") : facts.pending ? "not running" : "finished";
  const share = facts.total ? Math.floor((facts.done / facts.total) * 100) : 0;
  const parts = [...PARTS.map(([name, label]) => [name, label, facts[name]]), ["waiting", "to submit", waiting]].filter((part) => part[2]);
  return h("section", { class: "card hero" },
    h("div", { class: "hero-line" }, h("div", { class: "hero-share" }, `${share}`, h("small", {}, "%")),
      h("div", {}, h("h1", {}, `${number(facts.done)} of ${plural(facts.total, "job")} done`),
        h("p", {}, h("span", { class: `dot ${words.replace(" ", "-")}` }), [words, facts.simulated ? "simulated" : "", facts.rate ? `${facts.rate.toFixed(1)} / s` : "", facts.eta_seconds !== null && facts.going ? `${duration(facts.eta_seconds)} left` : "", facts.note].filter(Boolean).join(" · ")))),
    h("div", { class: "bar", role: "img", "aria-label": parts.map(([, label, count]) => `${number(count)} ${label}`).join(", ") }, parts.map(([name, , count]) => h("span", { class: `part ${name}`, style: { "flex-grow": `${count}` } }))),
    h("ul", { class: "legend" }, parts.map(([name, label, count]) => h("li", {}, h("i", { class: `part ${name}` }), h("b", {}, number(count)), ` ${label}`))),
    !facts.going && facts.pending && facts.resume ? h("div", { class: "more" }, h("p", {}, "Go on with:"), command(facts.resume)) : null);
}

function choosing(app, act) {
  const groups = app.model.groupCounts(), counts = app.model.counts();
  if (!counts.pictures) return null;
  return card("Choosing",
    h("div", { class: "figures" }, figure(number(counts.picked), "picked", "yes"), figure(number(counts.rejected), "rejected"), figure(number(counts.undecided), "undecided"),
      figure(`${number(groups.kept)} / ${number(groups.all)}`, "groups with a keeper")),
    h("div", { class: "bar thin" }, h("span", { class: "part picked", style: { "flex-grow": `${groups.kept}` } }), h("span", { class: "part rejected", style: { "flex-grow": `${groups.none}` } }), h("span", { class: "part waiting", style: { "flex-grow": `${groups.open}` } })),
    h("div", { class: "buttons" },
      button(counts.picked || counts.rejected ? "Go on choosing" : "Start choosing", () => act.choose(), { class: "primary" }),
      groups.none && !app.readOnly ? button(`More seeds for ${plural(groups.none, "group")}`, () => act.more()) : null,
      counts.picked ? button(`Export ${plural(counts.picked, "keeper")}`, () => act.export()) : null));
}

function speed(model, facts) {
  const rate = overTime(model.t, 60), took = spread(model.d.filter((_, index) => model.s[index] === "d"), 40);
  if (!rate) return null;
  const fastest = Math.max(...rate.counts) / rate.step;
  return card("Speed",
    h("div", { class: "two" },
      h("div", {}, h("h3", {}, "Pictures over time"), plot(rate.counts, { label: "Pictures over time", unit: (most) => `${(most / rate.step).toFixed(1)} a second` }),
        h("p", { class: "axis" }, h("span", {}, new Date(rate.first * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })), h("span", {}, fastest >= 1 ? `up to ${fastest.toFixed(1)} / s` : `up to ${(fastest * 60).toFixed(1)} / min`), h("span", {}, new Date(rate.last * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })))),
      took ? h("div", {}, h("h3", {}, "Time a job takes"), plot(took.counts, { label: "Run times", unit: plural }),
        h("p", { class: "axis" }, h("span", {}, duration(took.low)), h("span", {}, `median ${duration(took.median)}, 9 of 10 below ${duration(took.late)}`), h("span", {}, duration(took.high)))) : null),
    h("p", { class: "note" }, `${plural(facts.images, "picture")}, ${bytes(facts.bytes)}`));
}

function money(facts) {
  const ceiling = facts.control?.budget ?? null;
  return card("Money",
    h("div", { class: "figures" }, figure(usd(facts.spent_usd), "spent"), facts.reserved_usd ? figure(usd(facts.reserved_usd), "reserved at the service") : null,
      facts.pending ? figure(usd(facts.projected_usd), "projected in all") : null, facts.unclear_usd ? figure(usd(facts.unclear_usd), "unclear: failed there") : null,
      ceiling !== null ? figure(usd(ceiling), "budget") : null, facts.price_usd ? figure(usd(facts.price_usd), "a picture") : null),
    ceiling ? h("div", { class: "bar thin" }, h("span", { class: "part done", style: { "flex-grow": `${facts.spent_usd || 0}` } }), h("span", { class: "part at_service", style: { "flex-grow": `${facts.reserved_usd || 0}` } }), h("span", { class: "part waiting", style: { "flex-grow": `${Math.max(0, ceiling - (facts.cost_usd || 0))}` } })) : null,
    facts.simulated ? h("p", { class: "note" }, "Play money: this run is simulated.") : null);
}

function trouble(facts, act, readOnly) {
  const groups = [...(facts.failures || [])];
  if (facts.cancelled) groups.push({ state: "cancelled", cause: "cancelled", message: "", count: facts.cancelled });
  if (!groups.length) return null;
  return card("Needs you", h("ul", { class: "trouble" }, groups.map((group) => {
    const { state } = group, flag = state === "failed" ? "" : ` --state ${state}`;
    const only = state === "cancelled" ? "" : ` --cause ${quote(group.cause)}`;
    return h("li", {}, h("div", { class: "trouble-line" }, h("b", { class: `count ${state}` }, number(group.count)),
      h("div", {}, h("strong", {}, `${state.replace("_", " ")}: ${group.cause.replaceAll("_", " ")}`), group.message ? h("p", {}, group.message) : null, ADVICE[state] ? h("p", { class: "advice" }, ADVICE[state]) : null),
      readOnly ? null : button("Retry…", () => act.retry({ states: [state], causes: state === "cancelled" ? [] : [group.cause] }))),
    command(`batcher retry ${quote(facts.run)}${flag}${only}`));
  })));
}

function control(facts, act) {
  const now = facts.control || {};
  const field = (name, label, hint) => {
    const input = h("input", { type: "text", inputmode: "decimal", placeholder: hint, value: now[name] ?? "", "aria-label": label, autocomplete: "off" });
    return h("form", { class: "field", onsubmit: (event) => { event.preventDefault(); input.blur(); act.tune({ [name]: input.value.trim() || null }); } }, h("label", {}, label, input), h("button", { class: "small" }, "Set"));
  };
  return card("Control",
    h("div", { class: "buttons" },
      button(now.paused ? "Resume" : "Pause", () => act.tune(now.paused ? { resume: true } : { pause: true }), { class: now.paused ? "primary" : "" }),
      facts.going ? button("Finish what is at the service, then end", () => act.tune({ drain: true })) : null),
    h("div", { class: "fields" }, field("rate", "Submits", "2/s"), field("in_flight", "In flight", "24"), field("budget", "Budget, $", "none")),
    command(`batcher tune ${quote(facts.run)} ${now.paused ? "--resume" : "--pause"}`),
    facts.control_history?.length ? h("ul", { class: "history" }, facts.control_history.slice(-5).reverse().map((one) => h("li", {}, h("time", {}, new Date(one.obeyed_at).toLocaleTimeString()), ` ${told(one)}`))) : null);
}

function told(one) {
  const words = ["rate", "in_flight", "downloads", "budget"].filter((name) => one[name] !== null && one[name] !== undefined).map((name) => `${name.replace("_", " ")} ${one[name]}`);
  return [...words, one.paused ? "paused" : "", one.drain ? "end when done" : ""].filter(Boolean).join(", ") || "as the command says" + (one.reason ? ` (${one.reason})` : "");
}
