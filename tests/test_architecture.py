"""The import map, read from the source with ``ast``: imports for typing and imports inside functions count too.

Imports point down: a tier may use what stands below it, and its own peers as long as there is no way round. Decisions
are pure, so that they can be tested to the bottom. The simulator is a witness: it shares nothing with what it judges.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent / "batcher"

# From the bottom up. "" is the package's own __init__, the Python API's door: it names what is in "api".
ROOMS = (
    "core",
    "pacing",
    "manifest",
    "store",
    "client",
    "images",
    "runner",
    "upkeep",
    "export",
    "view",
    "api",
    "",
    "commands",
    "__main__",
)
WITNESS = "simulator"
DOOR_TO_THE_WITNESS = "batcher.commands.simulate"  # serves it; everybody else talks to it over HTTP
RANK = {room: rank for rank, room in enumerate(ROOMS)}

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

# Inside the largest package, from the bottom up; its other modules are above its folders, but for two that are below.
FOLDERS = ("problems", "extras", "schema", "sweep", "readers", "templates", "yaml")
MOST_MODULES = 12  # of one of its folders
MOST_LINES = 350
NO_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}


@cache
def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def unit(module: str) -> str:
    """What stands on the map: a top-level module or package."""
    return module.partition(".")[2].partition(".")[0]


@cache
def imported(module: str) -> frozenset[str]:
    """Dotted names that a module imports: of ours the modules themselves, of others as they are written."""
    return frozenset(_imported(module))


def _imported(module: str) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written in full"
            assert node.module is not None
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield inside if inside in modules() else node.module
    if module == "batcher.commands.cli":  # takes its commands by name
        yield from (name for name in modules() if name.startswith("batcher.commands."))


def ours(module: str) -> frozenset[str]:
    return frozenset(name for name in imported(module) if name.split(".")[0] == "batcher")


def others(module: str) -> frozenset[str]:
    return frozenset(name.split(".")[0] for name in imported(module)) - {"batcher"}


def way_round(graph: dict[str, set[str]]) -> list[str]:
    """A cycle in a graph, or nothing."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for after in sorted(graph.get(node, ())):
            if found := walk(after, [*path, node]):
                return found
        done.add(node)
        return []

    return next(filter(None, (walk(node, []) for node in sorted(graph))), [])


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
    assert "batcher.store.reading" in ours("batcher.store.statefile")  # `from batcher.store import reading`
    assert "batcher.core.one_line" in ours("batcher.__main__")  # inside a function
    assert "batcher.simulator" in ours(DOOR_TO_THE_WITNESS)  # under TYPE_CHECKING
    assert way_round({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]


def test_every_file_is_on_the_map_and_nothing_else() -> None:
    assert {unit(module) for module in ALL} <= set(RANK) | {WITNESS}


def test_imports_point_down() -> None:
    up = {
        (module, name)
        for module in JUDGED
        for name in ours(module)
        if unit(name) != WITNESS and RANK[unit(name)] > RANK[unit(module)]
    }
    assert not up


def test_inside_the_manifest_imports_point_down_too() -> None:
    rank = {f"batcher.manifest.{folder}": at for at, folder in enumerate(FOLDERS)}

    def height(module: str) -> int:
        return rank.get(".".join(module.split(".")[:3]), len(rank))

    inside = [module for module in ALL if unit(module) == "manifest"]
    assert {height(module) for module in inside} == set(range(len(rank) + 1))
    up = {
        (module, name)
        for module in inside
        for name in ours(module)
        if unit(name) == "manifest" and height(name) > height(module)
    }
    assert not up
    folders = Counter(modules()[module].parent for module in inside)
    assert not {folder: many for folder, many in folders.items() if many > MOST_MODULES}


def test_values_and_decisions_import_nothing_that_knows_the_time_the_machine_or_chance() -> None:
    assert not {(module, name) for module in ALL if unit(module) in PURE for name in others(module) - HARMLESS}


def test_values_and_decisions_call_nothing_that_does() -> None:
    assert not {(module, call) for module in ALL if unit(module) in PURE for call in calls(module) & IMPURE_CALLS}


def test_the_simulator_imports_nothing_from_the_rest() -> None:
    witnesses = set(ALL) - set(JUDGED)
    assert len(witnesses) > 10
    assert not {(module, name) for module in witnesses for name in ours(module) if unit(name) != WITNESS}


def test_only_the_command_that_serves_it_imports_the_simulator() -> None:
    assert {module for module in JUDGED if WITNESS in map(unit, ours(module))} == {DOOR_TO_THE_WITNESS}


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
    strange = {
        (module, name) for module in JUDGED for name in others(module) if unit(module) not in OWNERS.get(name, RANK)
    }
    assert not strange


def test_sql_is_spoken_in_the_store_alone() -> None:
    """Others may hold a connection (report and runner name its type); what is asked of it is in the store."""
    sql = {"connect", "execute", "executemany", "executescript", "cursor"}
    assert not {(module, call) for module in JUDGED if unit(module) != "store" for call in calls(module) & sql}
    assert "execute" in calls("batcher.store.reading")


def test_no_module_can_be_reached_from_itself() -> None:
    assert not way_round({module: set(ours(module)) - {module} for module in ALL})


def test_no_package_can_be_reached_from_itself() -> None:
    graph: dict[str, set[str]] = {}
    for module in ALL:
        graph.setdefault(unit(module), set()).update(unit(name) for name in ours(module))
    assert not way_round({name: after - {name} for name, after in graph.items()})


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
