// The numbers of a run: how far, how fast, for how much, what failed and what reopens it. Most come in words.

import { $, clear, copy, fill, h, number, plural } from "./dom.js";
import { counts, facts, groupCounts, page } from "./model.js";

const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const bar = (id, parts) => clear($(id), parts.map(([name, count]) => h(`span.part ${name}`, { style: { flexGrow: count } })));

// reopen: called with what a retry is for.
export function draw(reopen) {
	const { going, words } = facts;
	if (!words) return;
	const { kept = 0, none = 0, open = 0 } = groupCounts(), canChange = !page.readOnly;
	fill($("numbers"), {
		...words, ...counts(), going, control: canChange && words.tune, began: clock(words.began_at * 1000), ended: clock(words.ended_at * 1000), troubles: words.troubles.length,
		kept: `${number(kept)} / ${number(kept + none + open)}`, more: none && canChange && words.tune && plural(none, "group"),
	});
	for (const [id, bars] of Object.entries(words.plots || {})) $(id).setAttribute("d", bars);
	$("dot").className = `dot ${words.state.replace(" ", "-")}`;
	$("parts").ariaLabel = words.parts.map(([, count, label]) => `${number(count)} ${label}`).join(", ");
	bar("parts", words.parts);
	bar("purse", words.purse);
	bar("choice", [["picked", kept], ["rejected", none], ["waiting", open]]);
	clear($("legend"), words.parts.map(([name, count, label]) => h("li", {}, h(`i.part ${name}`), h("b", {}, number(count)), ` ${label}`)));
	clear($("history"), words.history.map(([at, what]) => h("li", {}, h("time", {}, clock(at)), ` ${what}`)));
	clear($("troubles"), words.troubles.map((one) => {
		const line = copy("trouble-of", { ...one, canChange });
		line.querySelector(".count").classList.add(one.state);
		line.querySelector("button").onclick = () => reopen(one.which);
		return line;
	}));
}
