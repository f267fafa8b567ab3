"""A real notebook, run by a real kernel: a bar while the run goes, thumbnails when it is over, errors in words."""

from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient and ipykernel are not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient and ipykernel are not installed")
pytest.importorskip("ipykernel", reason="nbclient and ipykernel are not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # of Jupyter's own making
]

CELLS = (
    (
        "import batcher\nreport = batcher.run(['a red kite', 'a blue kite'], out='runs/nb', matrix={'seed': range(20)},"
        " rate=100, simulate=True)\nreport"
    ),
    (
        "async with batcher.start(['a hill'], out='runs/hill', repeat=3, rate=100, simulate=True) as run:\n"
        "    results = [result async for result in run]\nrun"
    ),
    "batcher.open('runs/nb').images()",
    "results[0]",
    "batcher.plan(['a hill'], simulate=True)",
    "batcher.run([{'prompt': 'a hill', 'aspect_ratio': '17:9'}], simulate=True)",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """What each cell shows."""
    folder = tmp_path_factory.mktemp("notebook")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(book, kernel_name="python3", allow_errors=True, timeout=120, resources=resources).execute()
    assert list(Path(folder, "runs").iterdir())
    return [cell.outputs for cell in book.cells]


def html(cell: list[Any]) -> str:
    return "".join(output.data["text/html"] for output in cell if output.output_type == "execute_result")


def shown(cell: list[Any]) -> str:
    return "".join(output.text for output in cell if output.output_type == "stream")


def test_a_run_shows_a_bar_and_its_report(outputs: list[list[Any]]) -> None:
    assert "40/40 done" in shown(outputs[0])
    assert "40 of 40 jobs done; $0.80 of play money" in html(outputs[0])


def test_a_run_that_was_iterated_shows_its_sums_and_thumbnails(outputs: list[list[Any]]) -> None:
    assert "3/3 done" in shown(outputs[1])
    assert "3 of 3 jobs done" in html(outputs[1])
    assert html(outputs[1]).count("<img") == 3


def test_images_are_thumbnails_and_the_rest_is_counted(outputs: list[list[Any]]) -> None:
    assert html(outputs[2]).count("data:image/webp;base64,") == 24
    assert "... and 16 more" in html(outputs[2])
    assert html(outputs[3]).count("<img") == 1
    assert "a hill" in html(outputs[3])


def test_a_plan_names_no_temporary_folder(outputs: list[list[Any]]) -> None:
    assert html(outputs[4]).startswith("<p>runs/python/manifest.jsonl: 1 job to submit, $0.02</p>")


def test_an_error_is_in_words_with_its_place(outputs: list[list[Any]]) -> None:
    (error,) = (output for output in outputs[5] if output.output_type == "error")
    assert error.ename == "ManifestError"
    assert error.evalue.startswith("rows[0].aspect_ratio: ")
