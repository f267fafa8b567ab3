"""The page in a real browser: keys are pressed, and what is there to be seen is looked at."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import batcher
from batcher.runner.records import RECORDS
from batcher.store.picks import PICKS
from batcher.view import static
from tests.support.big_run import make_run
from tests.support.browser import Served, page_server
from tests.support.raw_http import ask, page_headers

FILTERS = {
    'seed == 1 and aspect_ratio == "1:1"': 3,
    'state == "failed"': 1,
    'pick == "yes"': 1,
    "flag:low-entropy and seed == 0": 9,
    'meta.category in "c1 and c7"': 12,
    '"number 2" in prompt and not seed < 3': 3,
    "inputs.seed == 1 or seed == 3": 18,
    "stars == null and seed == 0": 9,
}
"""What the page's own reader of ``--where`` finds, without a server."""
CURRENT = '.tile[aria-current="true"]'


@pytest.fixture
def page(tab: Any, served: Served) -> Any:
    """At the groups, with the first picture as the current one."""
    tab.goto(served.url)
    tab.wait_for_selector(CURRENT)
    return tab


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def current(page: Any) -> tuple[str, str]:
    tile = page.locator(CURRENT)
    return tile.get_attribute("data-job"), tile.get_attribute("data-output")


def expect_count(page: Any, selector: str, count: int) -> None:
    until(page, lambda: page.locator(selector).count() == count)
    assert page.locator(selector).count() == count


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Waits half a minute at most."""
    for _ in range(600):
        if holds():
            return
        page.wait_for_timeout(50)


def order(run: Path) -> list[str]:
    connection = sqlite3.connect(run / "state.db")
    keys = [key for (key,) in connection.execute("SELECT key FROM jobs ORDER BY id")]
    connection.close()
    return keys


def verdicts(run: Path) -> dict[str, Any]:
    lines = [json.loads(line) for line in (run / PICKS).read_text().splitlines()] if (run / PICKS).exists() else []
    return {one["job"]: one for one in lines}


def saved(page: Any, run: Path, count: int) -> dict[str, Any]:
    """Verdicts, as soon as so many lines are there."""
    until(page, lambda: (run / PICKS).exists() and len((run / PICKS).read_text().splitlines()) >= count)
    return verdicts(run)


def test_pick_and_reject_are_written_and_move_on(page: Any, run: Path) -> None:
    keys = order(run)
    press(page, "p", "x")
    assert current(page) == (keys[2], "0")
    assert page.locator(f'.tile[data-job="{keys[0]}"]').get_attribute("data-pick") == "yes"
    assert page.locator(f'.tile[data-job="{keys[1]}"]').get_attribute("data-pick") == "no"
    assert page.locator(f'.tile[data-job="{keys[2]}"]').get_attribute("data-pick") is None
    verdicts = saved(page, run, 2)
    assert (verdicts[keys[0]]["pick"], verdicts[keys[1]]["pick"]) == ("yes", "no")


def test_shift_p_keeps_one_of_the_group_and_goes_to_the_next(page: Any, run: Path) -> None:
    keys = order(run)
    press(page, "ArrowRight", "Shift+P")
    verdicts = saved(page, run, 4)
    assert [verdicts[key]["pick"] for key in keys[:4]] == ["no", "yes", "no", "no"]
    assert current(page)[0] == keys[4]
    press(page, "Shift+X")  # of four jobs in this group one failed, one is still to come
    verdicts = saved(page, run, 6)
    assert {key for key in keys[4:8] if key in verdicts} == {keys[4], keys[7]}
    assert current(page)[0] == keys[8]


def test_undo_goes_back_verdict_by_verdict(page: Any, run: Path) -> None:
    keys = order(run)
    press(page, "p", "x", "3", "Shift+P")
    saved(page, run, 5)
    for _ in range(4):
        press(page, "Control+z")
        page.wait_for_timeout(120)
    expect_count(page, "[data-pick]", 0)
    assert current(page)[0] == keys[0]
    verdicts = saved(page, run, 10)
    assert all(one["pick"] is None and one["stars"] is None for one in verdicts.values())


def test_undo_goes_on_after_the_page_was_loaded_again(page: Any, run: Path) -> None:
    press(page, "p", "Shift+P")
    saved(page, run, 4)
    page.reload()
    page.wait_for_selector(CURRENT)
    press(page, "Control+z")
    expect_count(page, ".tile[data-pick]", 1)
    press(page, "Control+z")
    expect_count(page, ".tile[data-pick]", 0)
    press(page, "Control+z")
    page.get_by_text("Nothing to undo").wait_for()


def test_undo_brings_back_a_verdict_that_was_taken_back_by_hand(page: Any, run: Path) -> None:
    press(page, "p", "ArrowLeft", "u")
    expect_count(page, ".tile[data-pick]", 0)
    press(page, "Control+z")
    expect_count(page, '.tile[data-pick="yes"]', 1)
    press(page, "Control+z")
    expect_count(page, ".tile[data-pick]", 0)
    page.wait_for_timeout(500)  # what the server says of the same lines changes nothing
    assert page.locator(".tile[data-pick]").count() == 0


def test_down_and_up_again_is_where_it_began_though_a_group_between_is_shorter(page: Any, run: Path) -> None:
    keys = order(run)
    connection = sqlite3.connect(run / "state.db")
    connection.execute("UPDATE jobs SET position = NULL WHERE id IN (7, 8)")
    connection.commit()
    connection.close()
    page.reload()
    page.wait_for_selector(CURRENT)
    press(page, "Home", "ArrowRight", "ArrowRight", "ArrowDown")
    assert current(page)[0] == keys[5]  # the last one there
    press(page, "ArrowDown")
    assert current(page)[0] == keys[10]
    press(page, "ArrowUp", "ArrowUp")
    assert current(page)[0] == keys[2]


def test_stars_and_tags(page: Any, run: Path) -> None:
    press(page, "4", "t")
    page.fill('input[aria-label^="Tags"]', "sky, best")
    page.keyboard.press("Enter")
    verdicts = saved(page, run, 2)[order(run)[0]]
    assert (verdicts["stars"], verdicts["tags"]) == (4, ["sky", "best"])


def test_next_undecided_and_arrows(page: Any, run: Path) -> None:
    keys = order(run)
    press(page, "p", "p", "Home", "n")
    assert current(page)[0] == keys[2]
    press(page, "ArrowDown")
    assert current(page)[0] == keys[6]
    press(page, "ArrowUp", "ArrowLeft")
    assert current(page)[0] == keys[1]


@pytest.mark.parametrize("run", [1], indirect=True)
def test_loupe_compare_and_one_zoom(page: Any, run: Path) -> None:
    press(page, "Enter")
    page.wait_for_selector(".loupe:not([hidden]) .pane img")
    fitted = page.locator(".pane img").bounding_box()["width"]
    press(page, "z")
    assert page.locator(".pane img").bounding_box()["width"] == pytest.approx(1408, abs=1)
    assert fitted < 1408
    press(page, "z", "c")
    assert page.locator(".pane").count() == 4
    press(page, "z")
    widths = {round(box["width"]) for box in (one.bounding_box() for one in page.locator(".pane img").all())}
    assert widths == {1408}
    press(page, "ArrowRight", "p")
    assert page.locator('.pane[data-pick="yes"]').count() == 1
    press(page, "Escape")
    assert page.locator(".loupe").is_hidden()


def test_what_failed_is_a_tile_with_its_cause_and_a_retry_that_asks_first(page: Any, run: Path) -> None:
    tile = page.locator('.tile[data-state="f"]')
    assert "content policy: refused by the filter" in tile.inner_text()
    tile.get_by_role("button", name="Retry").click()
    page.get_by_text("1 job would be reopened: submitted again").wait_for()
    assert "$0.02" in page.locator("dialog[open]").inner_text()
    assert page.locator("dialog[open]").get_by_text("5", exact=True).is_visible()  # which one it is
    assert "batcher retry" in page.locator("dialog[open] code").inner_text()
    page.locator("dialog[open]").get_by_role("button", name="Retry").click()
    page.get_by_text("1 job reopened").wait_for()


def test_a_filter_its_error_and_the_address_that_holds_it(page: Any, served: Served, run: Path) -> None:
    press(page, "/")
    page.keyboard.type("sed == 1")
    page.keyboard.press("Enter")
    page.get_by_text("did you mean seed?").wait_for()
    page.fill("input[type=search]", 'seed == 1 and aspect_ratio == "1:1"')
    page.keyboard.press("Enter")
    expect_count(page, ".tile", 3)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect_count(page, ".tile", 3)
    page.fill("input[type=search]", "number 2")
    page.keyboard.press("Enter")
    expect_count(page, ".head-prompt", 1)


def test_arrivals_move_neither_the_focus_nor_the_scroll(page: Any, run: Path) -> None:
    press(page, "w")
    page.wait_for_selector('[data-view="wall"]')
    press(page, "End", "ArrowLeft")
    page.wait_for_timeout(300)
    before = current(page), page.evaluate("document.querySelector('.stage').scrollTop")
    connection = sqlite3.connect(run / "state.db")
    connection.execute("UPDATE jobs SET state = 'done', finished_at = '2026-11-29T05:00:00.000Z' WHERE id = 7")
    connection.execute(
        "INSERT INTO images SELECT 7, 0, 1, file, bytes, sha256, mime, width, height, downloaded_at, url, NULL"
        " FROM images WHERE job_id = 8"
    )
    connection.commit()
    connection.close()
    page.get_by_text("1 new").wait_for(timeout=60_000)
    assert (current(page), page.evaluate("document.querySelector('.stage').scrollTop")) == before
    press(page, ".")
    page.locator(".pill").wait_for(state="hidden")
    assert current(page) == before[0]
    assert page.evaluate("document.activeElement.dataset.job") == before[0][0]


@pytest.mark.parametrize("holds_back", [False, True])
def test_a_proxy_without_events_makes_the_page_ask(page: Any, run: Path, holds_back: bool) -> None:
    page.route("**/events*", lambda route: None if holds_back else route.abort())
    page.reload()
    page.locator(".tile").first.wait_for()
    press(page, "w")
    page.wait_for_selector('[data-view="wall"]')
    press(page, "End")
    with closing(sqlite3.connect(run / "state.db")) as connection, connection:
        connection.execute("UPDATE jobs SET state = 'done', finished_at = '2026-11-29T05:00:00.000Z' WHERE id = 7")
        connection.execute(
            "INSERT INTO images SELECT 7, 0, 1, file, bytes, sha256, mime, width, height, downloaded_at, url, NULL"
            " FROM images WHERE job_id = 8"
        )
    page.get_by_text("1 new").wait_for(timeout=60_000)


def test_the_grid_has_seeds_down_and_ratios_across(page: Any, run: Path) -> None:
    press(page, "g")
    assert page.locator(".head-col").all_inner_texts() == ["16:9", "1:1", "3:4"]
    assert page.locator(".head-row").all_inner_texts() == ["0", "1", "2", "3"]
    assert page.locator(".tile").count() == 12
    keys = order(run)
    press(page, "ArrowRight")
    assert current(page)[0] == keys[4]  # the same seed, the next ratio
    press(page, "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown")
    assert current(page)[0] == keys[12]  # the next prompt


def test_details_and_what_differs(page: Any, run: Path) -> None:
    press(page, "i")
    page.get_by_text("google-deepmind/imagen-4").wait_for()
    assert "$0.02" in page.locator(".side").inner_text()
    press(page, "d")
    page.wait_for_selector(".differs tr[aria-current]")
    assert {"seed", "aspect_ratio"} <= set(page.locator(".differs th").all_inner_texts())
    assert "prompt" not in page.locator(".differs th").all_inner_texts()


def test_more_shows_groups_jobs_and_cost_before_anything_happens(page: Any, run: Path) -> None:
    press(page, "Shift+P", "m")
    page.get_by_text("8 groups without a keeper").wait_for()
    text = page.locator("dialog[open]").inner_text()
    assert "32 jobs" in text
    assert "$0.64" in text
    assert "batcher more" in text
    assert not (run / "additions.jsonl").exists()
    page.locator("dialog[open]").get_by_role("button", name="Add them").click()
    page.get_by_text("32 jobs added").wait_for()
    assert len((run / "additions.jsonl").read_text().splitlines()) == 32


def test_the_overview_says_what_failed_and_what_reopens_it(page: Any) -> None:
    press(page, "o")
    text = page.locator(".overview").inner_text()
    assert "34 of 36 jobs done" in text
    assert "content policy" in text
    assert "--cause content_policy" in text
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").wait_for()


def test_who_can_not_see_it_is_told_what_there_is(page: Any, run: Path) -> None:
    press(page, "p", "ArrowLeft", "4")
    tile = page.get_by_role("option", selected=False).first
    words = tile.get_attribute("aria-label")
    assert "lighthouse" in words
    assert "16:9" in words
    assert "seed 0" in words
    assert "picked" in words
    assert "4 stars" in words
    assert page.locator('[role="status"]').inner_text().startswith("4 stars")
    nameless = (
        "[...document.querySelectorAll('button')]"
        ".filter(one => one.checkVisibility() && !one.textContent.trim() && !one.ariaLabel).length"
    )
    assert page.evaluate(nameless) == 0
    assert page.evaluate("[...document.querySelectorAll('[role=listbox] > *')].every(one => one.role === 'option')")


def test_tab_reaches_views_search_lists_and_one_image_and_enter_opens_it(page: Any) -> None:
    press(page, "Home")
    names = []
    for _ in range(25):
        press(page, "Shift+Tab")
        names.append(page.evaluate("(one => one.dataset.act || one.dataset.job || one.id)(document.activeElement)"))
    assert {"overview", "groups", "grid", "wall", "box", "help", "smaller", "larger"} <= set(names)
    assert sum(len(name) == 32 for name in names) <= 1  # of the pictures the current one alone
    press(page, "w")
    page.locator('[data-act="grid"]').focus()
    press(page, "Enter")  # a button's own Enter
    page.wait_for_selector(".head-col")
    page.locator(CURRENT).focus()
    press(page, "Enter")
    page.wait_for_selector(".loupe:not([hidden]) .pane[aria-current]")
    press(page, "Tab")
    assert page.evaluate("document.activeElement.closest('.loupe') !== null")  # the wall behind it is out of reach


def test_nothing_runs_over_the_side_of_a_phone(tab: Any, served: Served) -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(served.url)
    tab.wait_for_selector(".tile")
    wide = (
        "[...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > 391"
        " && !one.closest('.strip,.command,.chips')).length"
    )
    for key in ("o", "w", "g", "Enter", "Escape", "Shift+G"):
        press(tab, key)
        tab.wait_for_timeout(100)
        for scheme in ("light", "dark"):
            tab.emulate_media(color_scheme=scheme)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390, (key, scheme)
            assert tab.evaluate(wide) == 0, (key, scheme)


def test_a_verdict_that_could_not_be_written_is_taken_back_and_said(page: Any, run: Path) -> None:
    (run / PICKS).symlink_to("/dev/full")
    press(page, "p")
    page.get_by_text("cannot write picks.jsonl").wait_for()
    assert page.locator("[data-pick]").count() == 0


def test_two_pages_that_pick_at_once_show_each_others_verdicts_and_lose_none(page: Any, run: Path) -> None:
    with page_server(run) as second:
        other = page.context.new_page()
        other.goto(second.url)
        other.wait_for_selector(CURRENT)
        press(other, "End", "ArrowLeft", "ArrowLeft")
        for key in ("p", "x"):
            press(page, key)
            press(other, key)
        for one in (page, other):
            for show in ("picked", "rejected"):
                one.locator(f'[data-show="{show}"]').get_by_text("2", exact=True).wait_for()
        other.close()
    assert len(verdicts(run)) == 4


def test_half_a_line_and_verdicts_on_what_is_gone_are_said_and_the_next_verdict_is_whole(tab: Any, run: Path) -> None:
    key = order(run)[0]
    lines = [{"job": "f" * 32, "output_index": 0, "pick": "yes"}, {"job": key, "output_index": 0, "pick": "no"}]
    (run / PICKS).write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"job": "3f')
    with page_server(run) as server:
        tab.goto(server.url)
        tab.get_by_text("1 verdict is about images that are no longer in this run").wait_for()
        tab.wait_for_selector(f'.tile[data-job="{key}"][data-pick="no"]')
        with tab.expect_response("**/picks"):
            press(tab, "p")
        expect_count(tab, '.tile[data-pick="yes"]', 1)
        tab.reload()
        tab.get_by_text("1 line of picks.jsonl can't be read and is skipped").wait_for()
    text = (run / PICKS).read_text()
    assert '{"job": "3f\n{' in text  # what was there stays, and the new line is a line of its own
    assert len(text.splitlines()) == 4


def with_a_thumbnail(served: Served, run: Path) -> list[str]:
    """The first two jobs, when the thumbnail of the first is kept, which must not hide that its image is gone."""
    keys = order(run)[:2]
    assert ask(served, f"/runs/night/thumb/{keys[0]}/0", **page_headers(served)).status == 200
    return keys


def test_images_that_go_or_break_under_the_page_are_tiles_that_say_so(tab: Any, served: Served, run: Path) -> None:
    first, second = with_a_thumbnail(served, run)
    (run / "images/16x9-395b64.png").unlink()
    (run / "images/16x9-a5c9ca.png").write_bytes(b"short")
    tab.goto(served.url)
    for key, words in ((first, "is gone"), (second, "is damaged")):
        tile = tab.locator(f'.tile[data-job="{key}"]')
        tile.get_by_text("missing or damaged").wait_for()
        assert words in tile.inner_text()
        assert f"batcher verify {run} --repair" in tile.inner_text()
        tab.evaluate("addEventListener('copy', () => window.copied = String(getSelection()), { once: true })")
        tile.get_by_role("button", name="Copy").click()
        tab.get_by_text("Copied").wait_for()
        assert tab.evaluate("window.copied").strip() == f"batcher verify {run} --repair"
    press(tab, "Home", "Enter")
    tab.locator(".pane").get_by_text(f"batcher verify {run} --repair").wait_for()
    press(tab, "Escape")
    expect_count(tab, f'.tile.loaded[data-job="{order(run)[2]}"]', 1)


def test_a_missing_image_is_asked_for_again_from_its_tile_free_and_shown_once_it_is_there(
    tab: Any, served: Served, run: Path
) -> None:
    first, second = with_a_thumbnail(served, run)
    gone, bad = run / "images/16x9-395b64.png", run / "images/16x9-a5c9ca.png"
    content = gone.read_bytes()
    gone.unlink()
    bad.write_bytes(b"short")
    tab.goto(served.url)
    tile = tab.locator(f'.tile[data-job="{first}"]')
    tile.get_by_text("missing or damaged").wait_for()
    gone.write_bytes(content)  # as a repair does it, or a person with a backup
    tab.wait_for_selector(f'.tile.loaded[data-job="{first}"]')

    tab.locator(f'.tile[data-job="{second}"]').get_by_role("button", name="Retry").click()
    tab.get_by_text("1 job would be collected again, for $0.00").wait_for()
    dialog = tab.locator("dialog[open]")
    assert dialog.get_by_text("1", exact=True).is_visible()  # which one it is
    assert f"batcher retry {run} --state missing --job {second}" in dialog.inner_text()
    dialog.get_by_role("button", name="Retry").click()
    tab.get_by_text("1 job is collected again").wait_for()
    tab.wait_for_selector(f'.tile[data-job="{second}"][data-state="r"]')
    assert (run / "lost+found/16x9-a5c9ca.png").read_bytes() == b"short"


def test_verdicts_are_in_the_records_a_little_later_and_when_the_page_ends(tab: Any, run: Path) -> None:
    records = run / RECORDS
    records.write_text("")
    with page_server(run) as server:
        tab.goto(server.url)
        tab.wait_for_selector(CURRENT)
        press(tab, "p", "x")
        until(tab, lambda: bool(records.read_text()))
        lines = [json.loads(line) for line in records.read_text().splitlines()]
        assert [one.get("pick") for one in lines][:2] == ["yes", "no"]
        press(tab, "p")
        saved(tab, run, 3)
    assert sum("pick" in json.loads(line) for line in records.read_text().splitlines()) == 3


def test_a_state_file_that_goes_and_comes_back_is_said_and_taken_up_again(page: Any, run: Path) -> None:
    press(page, "ArrowRight", "w")
    before = current(page)
    for name in ("state.db-wal", "state.db-shm"):
        (run / name).unlink(missing_ok=True)
    (run / "state.db").rename(run / "aside.db")
    page.get_by_text("has no state.db").wait_for()
    assert "batcher verify" in page.locator("#trouble").inner_text()
    (run / "aside.db").rename(run / "state.db")
    page.locator("#trouble .problem").wait_for(state="detached")
    page.wait_for_selector(CURRENT)
    assert current(page) == before


def test_a_page_whose_server_ends_says_so_and_calls_no_image_damaged(tab: Any, run: Path) -> None:
    with page_server(run) as server:
        tab.goto(server.url)
        tab.wait_for_selector(".tile.loaded")
    press(tab, "p")
    tab.get_by_text("the page's server does not answer").wait_for()
    assert tab.locator("[data-pick]").count() == 0
    press(tab, "w", "End")
    tab.wait_for_timeout(1500)
    assert tab.get_by_text("missing or damaged").count() == 0


def test_the_page_from_a_disk_takes_verdicts_and_gives_them_as_a_file(tab: Any, run: Path, tmp_path: Path) -> None:
    static.export(run, tmp_path / "gallery")
    tab.goto((tmp_path / "gallery/index.html").as_uri())
    tab.wait_for_selector(".tile.loaded")
    broken = "[...document.images].filter(one => one.complete && one.src && !one.naturalWidth).map(one => one.src)"
    assert tab.evaluate(broken) == []
    press(tab, "Shift+P")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save verdicts").click()
    lines = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert [line["pick"] for line in lines] == ["yes", "no", "no", "no"]
    assert all(line["sha256"] for line in lines)
    for text, count in FILTERS.items():
        tab.fill("input[type=search]", text)
        tab.keyboard.press("Enter")
        tab.wait_for_selector(f'.tile[aria-setsize="{count}"]')
    tab.fill("input[type=search]", "seed == (")
    tab.keyboard.press("Enter")
    tab.locator(".wrong .problem").wait_for()


def test_shards_are_one_wall(tab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("kites.csv").write_text("prompt,seed\n" + "".join(f"kite {n // 4},{n % 4}\n" for n in range(12)))
    shards = [Path(batcher.run("kites.csv", simulate=True, rate="200/s", shard=shard).run) for shard in ("1/2", "2/2")]
    with page_server(shards[0], str(shards[1])) as server:
        tab.goto(server.url)
        tab.wait_for_selector(CURRENT)
        expect_count(tab, ".tile.loaded", 12)
        assert tab.locator(".head-prompt").count() == 3  # a group is whole, though its seeds are in two runs
        press(tab, "Shift+P", "Shift+P", "Shift+P")
        expect_count(tab, '[data-pick="yes"]', 3)
        until(tab, lambda: sum(len(verdicts(run)) for run in shards) == 12)
        assert [
            sum(one["pick"] == pick for run in shards for one in verdicts(run).values()) for pick in ("yes", "no")
        ] == [3, 9]
        press(tab, "o")
        tab.get_by_text("12 of 12 jobs done", exact=True).wait_for()
        for run in shards:
            assert f"{run}: " in tab.locator("#numbers").inner_text()
        assert tab.get_by_text("Control", exact=True).is_hidden()
        press(tab, "m")
        tab.get_by_text("belongs to one run").wait_for()


def test_a_folder_of_runs_opens_each_of_them(tab: Any, tmp_path: Path) -> None:
    make_run(tmp_path / "one", 4)
    make_run(tmp_path / "two", 8)
    with page_server(tmp_path) as server:
        tab.goto(server.url)
        tab.wait_for_selector(".cover img")
        for cover in tab.locator(".cover img").all():
            cover.evaluate("one => one.decode()")  # fails for one that did not come
        tab.get_by_role("link", name="two").click()
        tab.wait_for_selector(CURRENT)
        expect_count(tab, ".tile", 8)
        press(tab, "p")
        saved(tab, tmp_path / "two", 1)
    assert not (tmp_path / "one" / PICKS).exists()


def test_prompts_names_and_causes_of_a_hostile_manifest_are_only_ever_text(tab: Any, tmp_path: Path) -> None:
    run = tmp_path / "<img src=x onerror=alert(1)>"
    make_run(run, 12, states={1: "failed"})
    evil = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
    connection = sqlite3.connect(run / "state.db")
    connection.execute(
        "UPDATE jobs SET inputs = json_set(inputs, '$.prompt', ?), prompt_id = ?, meta = ?",
        (evil, evil, json.dumps({evil: evil})),
    )
    connection.execute("UPDATE jobs SET message = ?, cause = ? WHERE state = 'failed'", (evil, evil))
    connection.execute("UPDATE images SET file = ? WHERE job_id = 3", (evil,))
    connection.commit()
    connection.close()
    with page_server(run) as server:
        tab.goto(server.url)
        tab.wait_for_selector(".tile")
        for key in ("i", "d", "Enter", "Escape", "o", "w"):
            tab.keyboard.press(key)
            tab.wait_for_timeout(150)
        assert tab.evaluate("window.hacked") is None
        assert tab.locator("img[src=x]").count() == 0
