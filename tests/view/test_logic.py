"""The page's logic without a browser: its modules layout, model, keys and where, run by Node.js."""

import json
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from batcher.view.server import PAGE
from tests.support.needs import lacks

Js = Callable[..., Any]

RUN = """
const columns = (rows) => {
	const items = {};
	for (const row of rows) for (const name in row) (items[name] ||= []).push(row[name]);
	return items;
};
const item = (number, s, more) => ({
	n: 1000 * (number + 1), k: `job${number}`, s, g: number >> 2, r: number % 4, c: "1:1", w: 3, h: 2,
	v: s === "d" ? `sha${number}` : "", t: number, d: 9 - number, e: -1, o: number, q: number % 4, ...more,
});
// Prompts of three groups (ratios) of four seeds; states: of their jobs, one letter each.
function take(states) {
	const count = (size) => [...Array(Math.ceil(states.length / size)).keys()];
	const groups = count(4).map((group) => [Math.floor(group / 3), `ratio ${group % 3}`]);
	const prompts = count(12).map((prompt) => [`prompt number ${prompt}`, `id-${prompt}`]);
	const items = columns([...states].map((s, number) => item(number, s)));
	model.reset();
	const tables = { groups: [0, groups], prompts: [0, prompts] };
	model.take({ axes: { rows: "seed", cols: "aspect_ratio" }, tables, items });
}
const say = (i, pick, { stars = null, sha = `sha${i}` } = {}) =>
	model.take({ picks: [[`job${i}`, 0, pick, stars, [], null, sha]] });
const groupsList = () => model.list({ view: "groups" });
"""


@pytest.fixture(scope="module")
def js(tmp_path_factory: pytest.TempPathFactory) -> Js:
    """Runs a function's body with the modules at hand; what it returns, as JSON. given: names it may use."""
    node = node_of_playwright()
    if node is None:
        lacks("browser", "playwright, which brings a Node.js, is not installed (dependency group test)")
    folder = tmp_path_factory.mktemp("modules")
    for path in PAGE.glob("*.js"):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}')

    def run(body: str, **given: Any) -> Any:
        imports = "".join(f'import * as {name} from "./{name}.js";\n' for name in ("layout", "model", "keys", "where"))
        names = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in given.items())
        (folder / "test.js").write_text(
            f"{imports}{names}{RUN}console.log(JSON.stringify((() => {{\n{body}\n}})() ?? null));"
        )
        done = subprocess.run([str(node), "test.js"], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def node_of_playwright() -> Path | None:
    try:
        from playwright._impl._driver import compute_driver_executable  # noqa: PLC0415  it may be absent
    except ImportError:
        return None
    return Path(compute_driver_executable()[0])


RATIOS = """
let seed = 7;
const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
const ratios = Array.from({ length: 3000 }, () => [16 / 9, 1, 3 / 4, 0.25, 4][Math.floor(random() * 5)]);
"""


@pytest.mark.parametrize("width", [300, 390, 1100, 2400])
def test_rows_fill_the_width_and_keep_the_order_and_the_shape_of_each_image(js: Js, width: int) -> None:
    rows = js(
        RATIOS
        + """
        const plan = layout.justified(ratios.length, (at) => ratios[at], width, 220, 6);
        return plan.rows.map(({ from, to, top, height }) => ({
            from, to, top, height, right: plan.x[to - 1] + plan.w[to - 1],
            shaped: ratios.slice(from, to).every((ratio, at) =>
                Math.abs(plan.w[from + at] / plan.h[from + at] - ratio) < 1e-9),
        }));""",
        width=width,
    )
    assert [row["from"] for row in rows] == [0, *(row["to"] for row in rows[:-1])]
    assert rows[-1]["to"] == 3000
    assert all(row["shaped"] for row in rows)
    for row, below in pairwise(rows):
        assert below["top"] == pytest.approx(row["top"] + row["height"] + 6)
        is_as_high_as_may_be = row["height"] == pytest.approx(220 * 1.6)
        assert row["right"] == pytest.approx(width) or is_as_high_as_may_be
        assert row["right"] <= width + 1e-6
        assert row["height"] <= 220 * 1.6 + 1e-6


def test_groups_share_no_row_and_a_heading_stands_where_a_prompt_begins(js: Js) -> None:
    plan = js("""
        const plan = layout.grouped(22, () => 1.5, (at) => at >> 2, (at) => Math.floor(at / 12), 900, 180, 6, 100, 44);
        const heads = plan.heads.map(({ kind, id }) => `${kind} ${id}`);
        return { rows: plan.rows, heads, left: Math.min(...plan.x) };""")
    assert all(row["from"] >> 2 == (row["to"] - 1) >> 2 for row in plan["rows"])
    assert plan["heads"] == [
        "prompt 0", "group 0", "group 1", "group 2", "prompt 1", "group 3", "group 4", "group 5",
    ]  # fmt: skip
    assert plan["left"] == 100


def test_a_table_has_its_cells_under_their_columns_also_where_one_is_empty(js: Js) -> None:
    plan = js("""
        const plan = layout.table([[[1], [1.5, 1.5]], [[], [1.5]]], 900, 300, 6, 100, 34);
        return { x: [...plan.x], h: [...plan.h], rows: plan.rows, heads: plan.heads };""")
    columns = [head["x"] for head in plan["heads"] if head["kind"] == "col"]
    assert plan["x"][0] == columns[0] == 100
    assert plan["x"][1] == plan["x"][3] == columns[1]
    assert len(set(plan["h"])) == 1
    assert [(row["from"], row["to"]) for row in plan["rows"]] == [(0, 3), (3, 4)]


def test_what_is_on_the_screen_is_found_by_halving_as_by_looking_at_each(js: Js) -> None:
    wrong = js(
        RATIOS
        + """
        const { rows } = layout.justified(ratios.length, (at) => ratios[at], 1000, 200, 6);
        return Array.from({ length: 500 }, () => random() * 60000 - 500).filter((line) => {
            const found = rows.findIndex(({ top, height }) => top + height >= line);
            return layout.firstBelow(rows, line) !== (found < 0 ? rows.length : found);
        });"""
    )
    assert wrong == []


def test_down_goes_to_the_nearest_image_and_stays_where_there_is_no_row(js: Js) -> None:
    result = js("""
        const plan = layout.justified(7, () => 1, 300, 100, 0);  // rows of three, the last one alone
        return [[1, 1, 150], [2, 1, 10], [0, -1, 50], [6, 1, 50]].map((from) => layout.neighbour(plan, ...from));""")
    assert result == [4, 3, 0, 6]


def test_this_one_and_not_the_others_leaves_out_what_has_no_image(js: Js) -> None:
    result = js(
        """
        take("dfdp" + "dddd");
        return [[2, "only"], [0, "none"], [5, "pick"]].map((one) => model.decision(...one));"""
    )
    assert result == [[[0, "no"], [2, "yes"]], [[0, "no"], [2, "no"]], [[5, "yes"]]]


def test_behind_a_decision_on_a_group_comes_the_next_one_that_is_open_around_the_end(js: Js) -> None:
    result = js("""
        take("dddd".repeat(4));
        for (const i of [4, 5, 6, 7]) say(i, "no");
        const list = groupsList();
        const first = [[1, "only"], [13, "only"], [1, "pick"], [15, "pick"]].map((from) => model.next(list, ...from));
        for (let i = 0; i < 16; i++) say(i, "yes");
        return [...first, model.next(list, 1, "only"), model.nextUndecided(list, 3)];""")
    assert result == [8, 0, 2, -1, 4, -1]


def test_up_and_down_keep_the_column_through_a_shorter_group(js: Js) -> None:
    result = js("""
        take("dddd" + "dd");
        const more = columns([item(6, "d", { g: 2 }), item(7, "d", { g: 2 })]);
        model.take({ items: more, tables: { groups: [2, [[0, "ratio 2"]]] } });
        const list = groupsList(), [to, goal] = model.vertical(list, 3, 1), [back] = model.vertical(list, to, -1, goal);
        return [to, goal, back, model.vertical(list, 1, -1), model.vertical(list, 7, 1)];""")
    assert result == [5, 3, 3, [1, 1], [7, 1]]


def test_a_verdict_on_what_was_made_anew_since_does_not_count(js: Js) -> None:
    result = js("""
        take("dd");
        say(0, "yes", { sha: "other" });
        say(1, "yes");
        return [model.pick(0), model.pick(1), model.counts()];""")
    assert result[:2] == [None, "yes"]
    assert (result[2]["picked"], result[2]["undecided"]) == (1, 1)


def test_what_the_server_says_of_a_verdict_that_is_on_its_way_is_older(js: Js) -> None:
    result = js("""
        take("d");
        model.verdicts.set("job0.0", { pick: "no", stars: null, tags: [], note: null, sha: "sha0" });
        model.unsaved.add("job0.0");
        say(0, "yes");
        const before = model.pick(0);
        model.unsaved.delete("job0.0");
        say(0, "yes");
        return [before, model.pick(0)];""")
    assert result == ["no", "yes"]


def test_what_comes_later_is_known_by_its_number_and_keeps_its_index(js: Js) -> None:
    result = js("""
        take("dp");
        const { changed, fresh } = model.take({ items: columns([item(2, "d", { o: 0 }), item(1, "d")]) });
        return [changed, fresh, model.order(), model.isPicture(1)];""")
    assert result == [[1], [2], [0, 2, 1], True]


@pytest.mark.parametrize(
    ("query", "images"),
    [({"view": "wall"}, [0, 1, 2, 4]), ({"view": "groups"}, [0, 1, 2, 3, 4, 5]),
     ({"view": "wall", "show": "failed"}, [1]),
     ({"view": "wall", "show": "waiting"}, [3, 5]), ({"view": "wall", "show": "picked"}, [4]),
     ({"view": "wall", "sort": "newest"}, [4, 2, 1, 0]), ({"view": "wall", "sort": "stars"}, [2, 0, 1, 4]),
     ({"view": "wall", "words": "NUMBER 0"}, [0, 1, 2, 4]), ({"view": "wall", "words": "nothing"}, []),
     ({"view": "wall", "only": 1}, [])],
)  # fmt: skip
def test_a_view_lists_what_its_filter_search_and_order_say(js: Js, query: dict[str, Any], images: list[int]) -> None:
    body = """
        take("dfdpdq");
        say(4, "yes");
        say(2, null, { stars: 3 });
        return model.list(query);"""
    assert js(body, query=query) == images


def test_two_to_four_are_compared_the_marked_ones_or_those_not_rejected(js: Js) -> None:
    result = js("""
        take("dddddddd");
        say(1, "no");
        const own = model.toCompare(0, new Set()), marked = model.toCompare(0, new Set([6, 2]));
        for (const i of [0, 2, 3]) say(i, "no");
        const near = [model.near([1, 2, 3, 4, 5, 6], 6, 4), model.near([1, 2], 1, 4)];
        return [own, marked, model.toCompare(0, new Set()), ...near];""")
    assert result == [[0, 2, 3], [6, 2], [0, 1, 2, 3], [3, 4, 5, 6], [1, 2]]


@pytest.mark.parametrize(
    ("text", "is_filter"),
    [("seed < 10", True), ('"bird" in prompt', True), ("flag:blank", True), ("not stars", True),
     ('pick == "yes"', True),
     ("a bird in a tree", False), ("notable", False), ("red flag", False), ('meta.x in ("a", "b")', True), ("", False)],
)  # fmt: skip
def test_a_text_is_a_filter_where_it_looks_like_an_expression(js: Js, text: str, is_filter: bool) -> None:
    assert js("return model.isFilter(text);", text=text) is is_filter


@pytest.mark.parametrize(
    ("event", "action"),
    [({"key": "p"}, "pick"), ({"key": "P", "shiftKey": True}, "only"), ({"key": "X", "shiftKey": True}, "none"),
     ({"key": "P"}, "pick"), ({"key": "5"}, "stars5"), ({"key": "6"}, ""), ({"key": "z"}, "zoom"),
     ({"key": "z", "ctrlKey": True}, "undo"), ({"key": "z", "metaKey": True}, "undo"),
     ({"key": "p", "ctrlKey": True}, ""),
     ({"key": "p", "altKey": True}, ""), ({"key": "Delete"}, "reject"),
     ({"key": "ArrowLeft", "shiftKey": True}, "panLeft"),
     ({"key": "?", "shiftKey": True}, "help"), ({"key": "Tab"}, ""), ({"key": "/"}, "filter")],
)  # fmt: skip
def test_keys_are_lightrooms_and_leave_the_browsers_own_alone(js: Js, event: dict[str, Any], action: str) -> None:
    assert js("return keys.action(event);", event=event) == action


FACTS = {"seed": 3, "aspect_ratio": "16:9", "prompt": "salt and pepper", "meta.category": None, "flag": ["blank"]}


@pytest.mark.parametrize(
    ("text", "holds"),
    [("seed < 10", True), ("seed >= 4", False), ('aspect_ratio == "16:9" and seed == 3', True),
     ("seed == 1 or seed == 3", True), ('seed < "9"', False),
     ('"salt and pepper" in prompt', True), ("not 'pepper' in prompt", False), ("'x' not in prompt", True),
     ("flag:blank", True),
     ("not flag:blank", False), ("meta.category == null", True), ("meta.category < 3", False),
     ("meta.category != None", False),
     ("seed != 3 or flag:blank and seed == 3", True), ("nothing == 3", False)],
)  # fmt: skip
def test_a_filter_without_a_server_means_what_it_means_with_one(js: Js, text: str, holds: bool) -> None:
    assert js("return where.where(text)((name) => facts[name]);", text=text, facts=FACTS) is holds


@pytest.mark.parametrize("text", ["seed == (", "(seed < 3)", "seed", "seed = 3", "and", "seed < 3 and"])
def test_a_filter_it_can_not_read_is_an_error_in_words(js: Js, text: str) -> None:
    body = "try { where.where(text); } catch (error) { return error.message; }"
    assert "comparisons" in js(body, text=text)
