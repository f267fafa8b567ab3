"""What the rooms of the package may do, read from the source with ``ast``.

That imports point down and go round nowhere is held by import-linter, with the contracts in pyproject.toml.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent / "batcher"

WITNESS = "simulator"
PURE = {"core", "pacing"}
HARMLESS = frozenset(  # nothing in these knows the time, the machine or chance, unless asked by the calls below
    {
        "array",
        "ast",
        "bisect",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
        "difflib",
        "email",
        "enum",
        "functools",
        "warnings",
    }
    | {"hashlib", "itertools", "json", "keyword", "math", "msgspec", "operator", "re", "shlex", "typing", "unicodedata"}
)
IMPURE_CALLS = frozenset({"open", "print", "input", "now", "utcnow", "today", "localtime", "astimezone"})

OWNERS = {  # who alone may touch an outside thing, beside the simulator
    "PIL": {"images", "export"},
    "obstore": {"images"},
    "aiofiles": {"images"},
    "aiohttp": {"client", "images", "view"},
    "apprise": {"runner"},
    "click": {"commands", "__main__"},
    "filelock": {"store"},
    "jsonschema_rs": {"manifest"},
    "prometheus_client": {"runner"},
    "pyarrow": {"export", "manifest"},
    "ray": {"runner"},
    "tqdm": {"runner"},
    "yaml": {"manifest"},
    "yarl": {"client", "images"},
}

MOST_MODULES = 12  # of a folder of the largest room
MOST_LINES = 350
NO_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}


@cache
def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    by_name = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        by_name[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return by_name


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def unit(module: str) -> str:
    """What stands on the map: a top-level module or package."""
    return module.partition(".")[2].partition(".")[0]


@cache
def imported(module: str) -> frozenset[str]:
    """Dotted names that a module imports, inside of functions and for types too."""
    return frozenset(_imported(module))


def _imported(module: str) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written in full"
            assert node.module is not None
            yield node.module


def others(module: str) -> frozenset[str]:
    return frozenset(name.split(".")[0] for name in imported(module)) - {"batcher"}


def calls(module: str) -> set[str]:
    """The last names of everything a module calls."""
    called = (node.func for node in ast.walk(tree(module)) if isinstance(node, ast.Call))
    return {call.id if isinstance(call, ast.Name) else getattr(call, "attr", "") for call in called}


ALL = sorted(modules())
JUDGED = [module for module in ALL if unit(module) != WITNESS]


def test_the_reader_of_this_test_sees_the_package() -> None:
    assert {"batcher", "batcher.core.job", "batcher.runner", "batcher.runner.drain", "batcher.simulator.app"} <= set(
        ALL
    )
    assert "batcher.core.one_line" in imported("batcher.__main__")  # inside a function
    assert "batcher.simulator.process" in imported("batcher.commands.simulate")


def test_no_room_uses_the_python_api_by_its_public_name() -> None:
    assert not {module for module in ALL if "batcher" in imported(module)}


def test_values_and_decisions_import_nothing_that_knows_the_time_the_machine_or_chance() -> None:
    assert not {(module, name) for module in ALL if unit(module) in PURE for name in others(module) - HARMLESS}


def test_values_and_decisions_call_nothing_that_does() -> None:
    assert not {(module, call) for module in ALL if unit(module) in PURE for call in calls(module) & IMPURE_CALLS}


def test_an_import_changes_nothing_for_the_whole_process() -> None:
    """No call stands by itself, nothing of another module is set: warnings, limits and signals are the commands'."""
    changes = set()
    for module in ALL:
        for node in tree(module).body:
            call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            targets = node.targets if isinstance(node, ast.Assign) else []
            if call or any(isinstance(target, ast.Attribute | ast.Subscript) for target in targets):
                changes.add((module, ast.unparse(node)))
    own_logger = (
        "batcher.runner.watchers.events_log",
        "LOGGER.addHandler(logging.NullHandler())",
    )  # as every library does
    assert changes == {own_logger}


def test_every_outside_thing_has_its_owners() -> None:
    used = {(unit(module), name) for module in JUDGED for name in others(module) & OWNERS.keys()}
    assert used == {(room, name) for name, rooms in OWNERS.items() for room in rooms}


def test_sql_is_spoken_in_the_store_alone() -> None:
    """Others may hold a connection (report and runner name its type); what is asked of it is in the store."""
    sql = {"connect", "execute", "executemany", "executescript", "cursor"}
    assert not {(module, call) for module in JUDGED if unit(module) != "store" for call in calls(module) & sql}
    assert "execute" in calls("batcher.store.reading")


def test_a_folder_of_the_largest_room_is_seen_at_a_glance() -> None:
    folders = Counter(path.parent for module, path in modules().items() if unit(module) == "manifest")
    assert not {folder: many for folder, many in folders.items() if many > MOST_MODULES}


def test_a_module_is_one_idea_of_at_most_350_lines() -> None:
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in modules().items()}
    assert not {module: length for module, length in lengths.items() if length > MOST_LINES}


def test_a_module_is_named_for_what_it_is() -> None:
    assert not {module for module in ALL if module.rsplit(".", maxsplit=1)[-1] in NO_NAMES}


def test_a_module_says_what_it_is_for() -> None:
    assert not {module for module in ALL if not ast.get_docstring(tree(module))}


def test_every_command_of_the_command_line_has_its_module() -> None:
    from batcher.commands.cli import COMMANDS  # noqa: PLC0415  the rest of this file reads, it does not import

    assert {f"batcher.commands.{name}" for name in COMMANDS} <= set(ALL)


def test_a_folder_of_tests_imports_nothing_from_another() -> None:
    """What several of them need is in tests/support. Campaigns and their samples are one: storms, fuzz, crash."""
    tests = ROOT.parent / "tests"
    strange = set()
    for path in tests.rglob("*.py"):
        folder = path.relative_to(tests).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tests."):
                other = node.module.split(".")[1]
                if other not in {folder, "support"}:
                    strange.add((str(path.relative_to(tests)), node.module))
    assert not strange
