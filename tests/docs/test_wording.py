"""How messages are worded, read from the source: one function makes the plurals, and things are fixed, not mended."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "batcher"
COUNTED = (
    "job", "image", "picture", "prompt", "submit", "file", "verdict", "group", "sheet", "seed", "model", "warning",
    "call", "thing", "cause", "request",
)  # fmt: skip
PLURAL = re.compile(rf" (?:\w+ ){{0,2}}({'|'.join(f'{word}s' for word in COUNTED)})\b")
NEVER_ONE = {  # where a single one says something else, or is no case
    " jobs are done",  # "every job is done"
    " jobs; the maximum is ",
    " images would share ",
    " models (",
    " prompts",  # lines of one prompt that has several
    " images, and the model makes one at a time",
    " prompts from one; the maximum is ",
    " prompts from one",
    " groups",  # the most that a manifest may have
    " files/s)",
    " sheets",  # too many for one file
    " submits in a row failed for one cause",  # three at least
    " submits failed for one cause",
    " calls in a row to submit got no usable answer",
}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """String constants that are no docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def is_count(value: ast.FormattedValue) -> bool:
    """``{number:,}`` or ``{len(...)}``."""
    return ast.unparse(value).endswith(":,}") or ast.unparse(value.value).startswith("len(")


def plurals(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and words behind a number in a text, where the words are right for several only."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for number, words in zip(node.values, node.values[1:], strict=False):
            if isinstance(number, ast.FormattedValue) and is_count(number) and isinstance(words, ast.Constant):
                behind = str(words.value)
                if PLURAL.match(behind) and not any(behind.startswith(known) for known in NEVER_ONE):
                    yield node.lineno, behind


def test_a_number_with_a_noun_behind_it_comes_from_one_function() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}:{words}" for path, tree in modules() for line, words in plurals(tree)]
    assert found == []


@pytest.mark.parametrize(
    "code", ["f'{n:,} new verdicts'", "f'{n:,} simulated images, {size}'", "f'in {n} groups of 2'"]
)
def test_the_test_above_sees_a_plural(code: str) -> None:
    assert len(list(plurals(ast.parse(code)))) == (0 if "groups" in code else 1)


def test_messages_say_fix() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path, tree in modules()
        for line, text in texts(tree)
        if re.search(r"\bmend(s|ed|ing)?\b", text) and text not in {"mend", "mended"}  # fields of JSON
    ]
    assert found == []
