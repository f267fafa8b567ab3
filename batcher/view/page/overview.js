// The numbers of a run: how far, how fast, for how much, what failed and what reopens it. Most come in words.

import { $, button, clear, command, fill, h, number, plural } from "./dom.js";

const WIDTH = 300, HEIGHT = 72;
const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const bar = (id, parts) => clear($(id), parts.map(([name, count]) => h("span", { class: `part ${name}`, style: { "flex-grow": `${count}` } })));

function plot(id, counts, label) {
  const most = Math.max(...counts, 1), step = WIDTH / counts.length;
  clear($(id), h("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, counts.map((count, at) => {
    const height = (count / most) * (HEIGHT - 4);
    return h("rect", { x: at * step + 0.5, y: HEIGHT - height, width: Math.max(0.5, step - 1), height, rx: 1 });
  })));
}

export function draw(app) {
  const { model, readOnly } = app, { going, words } = model.facts;
  if (!words) return;
  const groups = model.groupCounts(), counts = model.counts(["pictures", "picked", "rejected", "undecided"]), { picked, rejected, undecided } = counts;
  fill($("numbers"), {
    ...words, going, began: clock(words.began_at * 1000), ended: clock(words.ended_at * 1000), troubles: words.troubles.length, canChange: !readOnly, pictures: counts.pictures,
    picked: number(picked), rejected: number(rejected), undecided: number(undecided), kept: `${number(groups.kept)} / ${number(groups.all)}`,
    start: picked || rejected ? "Go on choosing" : "Start choosing", more: groups.none && !readOnly ? `More seeds for ${plural(groups.none, "group")}` : "",
    keepers: picked ? `Export ${plural(picked, "keeper")}` : "",
  });
  if (words.plots) { plot("over-time", words.plots.over_time, `Pictures over time, ${words.fastest}`); plot("spread", words.plots.spread, `Time a job takes, ${words.median}`); }
  $("dot").className = `dot ${words.state.replace(" ", "-")}`;
  $("parts").setAttribute("aria-label", words.parts.map(([, count, label]) => `${number(count)} ${label}`).join(", "));
  bar("parts", words.parts); bar("purse", words.purse); bar("choice", [["picked", groups.kept], ["rejected", groups.none], ["waiting", groups.open]]);
  clear($("legend"), words.parts.map(([name, count, label]) => h("li", {}, h("i", { class: `part ${name}` }), h("b", {}, number(count)), ` ${label}`)));
  clear($("history"), words.history.map(([at, what]) => h("li", {}, h("time", {}, clock(at)), ` ${what}`)));
  clear($("troubles"), words.troubles.map(({ state, count, title, message, advice, command: line, which }) => h("li", {},
    h("div", { class: "trouble-line" }, h("b", { class: `count ${state}` }, number(count)), h("div", {}, h("strong", {}, title), message && h("p", {}, message), advice && h("p", { class: "advice" }, advice)),
      !readOnly && button("Retry…", () => app.reopen(which))), command(line))));
}
