"""How messages are worded, read from the source: one function makes the plurals, and things are fixed, not mended.

Names say what a value is: a list of errors is ``errors``.
"""

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
VAGUE = {"found", "known", "said", "told"}
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
                if PLURAL.match(behind) and not any(behind.startswith(allowed) for allowed in NEVER_ONE):
                    yield node.lineno, behind


def test_a_number_with_a_noun_behind_it_comes_from_one_function() -> None:
    problems = [f"{path.relative_to(ROOT)}:{line}:{words}" for path, tree in modules() for line, words in plurals(tree)]
    assert problems == []


@pytest.mark.parametrize(
    "code", ["f'{n:,} new verdicts'", "f'{n:,} simulated images, {size}'", "f'in {n} groups of 2'"]
)
def test_the_test_above_sees_a_plural(code: str) -> None:
    assert len(list(plurals(ast.parse(code)))) == (0 if "groups" in code else 1)


def test_messages_say_fix() -> None:
    problems = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path, tree in modules()
        for line, text in texts(tree)
        if re.search(r"\bmend(s|ed|ing)?\b", text) and text not in {"mend", "mended"}  # fields of JSON
    ]
    assert problems == []


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of every variable, attribute, parameter, function and class that the module makes."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name


def words_of_code(text: str) -> Iterator[tuple[int, str]]:
    """Line and word of everything in JavaScript but comments."""
    for number, line in enumerate(text.splitlines(), 1):
        for word in re.findall(r"[\w$]+", re.sub("//.*", "", line)):
            yield number, word


def vague(path: Path) -> list[str]:
    """Names in a file of Python or JavaScript that say nothing of their value."""
    text = path.read_text("utf-8")
    words = words_of_code(text) if path.suffix == ".js" else names(ast.parse(text))
    return [f"{path.name}:{line}: {word}" for line, word in words if word.strip("_") in VAGUE]


@pytest.mark.parametrize("room", [ROOT, ROOT.parent / "tests"], ids=lambda path: path.name)
def test_names_say_what_a_value_is(room: Path) -> None:
    files = [path for path in sorted(room.rglob("*")) if path.suffix in {".py", ".js"}]
    assert files
    assert [problem for path in files for problem in vague(path)] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.py", "found = 1"),
        ("a.py", "for said in (): pass"),
        ("a.py", "def look(*, told): pass"),
        ("a.py", "class A:\n    def _found(self): pass"),
        ("a.py", "self._known = 1"),
        ("a.js", "const known = new Set();"),
    ],
)
def test_the_test_above_sees_a_name(tmp_path: Path, name: str, code: str) -> None:
    path = tmp_path / name
    path.write_text(f"{code}\n")
    assert len(vague(path)) == 1
