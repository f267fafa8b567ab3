"""A manifest that was checked is recognised, when it is the same in everything; and a walk may begin at any job."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.manifest import Manifest, Memory, Overrides, open_manifest
from batcher.manifest import loader as draft
from batcher.manifest.schema import ModelSchema
from batcher.manifest.sweep.copies import Watched
from tests.manifest.manifest_reading import IMAGEN, checked, write

SWEEP = """
prompts:
  - a heron
  - {prompt: "a {time} lake", vars: {time: [misty, frozen]}}
  - {file: more.csv, meta: {set: birds}}
matrix: {seed: 1..3}
"""


@pytest.fixture
def sweep(tmp_path: Path) -> str:
    write(tmp_path, "prompt,negative_prompt\na kite,text\na gull,\n", "more.csv")
    return write(tmp_path, SWEEP)


def kept(manifest: Manifest) -> Memory | None:
    """As the state file keeps it."""
    return Memory.from_json(json.loads(json.dumps(manifest.memory.as_json())))


def looked_at(path: str, memory: Memory | None, schema: ModelSchema | None = IMAGEN, **flags: Any) -> bool:
    """Whether its rows were checked one by one."""
    told: list[int] = []
    opened = open_manifest(path, Overrides(**flags))
    opened.recall(memory)
    opened.check(schema, progress=told.append)
    return bool(told)


def test_an_unchanged_manifest_is_not_looked_at_again_and_makes_the_same_jobs(sweep: str) -> None:
    first = checked(sweep, set=(("negative_prompt", "blur"),))
    again = open_manifest(sweep, Overrides(set=(("negative_prompt", "blur"),)))
    assert again.recall(kept(first))
    told: list[int] = []
    second = again.check(IMAGEN, progress=told.append)
    assert told == []
    assert list(second.jobs()) == list(first.jobs())
    assert (second.total, second.prompts, second.warnings) == (first.total, first.prompts, first.warnings)
    assert (second.fingerprint, second.mark) == (first.fingerprint, first.mark)
    assert second.count_by_axis() == first.count_by_axis()


def test_a_limit_is_no_part_of_what_a_manifest_is(sweep: str) -> None:
    memory = kept(checked(sweep))
    assert not looked_at(sweep, memory, limit=4)
    assert checked(sweep, limit=4).fingerprint == checked(sweep).fingerprint


FILES = {
    "p.txt": "a heron\na kite\n",
    "p.csv": "prompt,seed\na heron,1\na kite,2\n",
    "p.jsonl": '{"prompt": "a heron"}\n{"prompt": "a kite"}\n',
}


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@settings(max_examples=20)
def test_any_byte_that_changes_is_noticed(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("one")
    path = write(folder, FILES[name], name)
    memory = kept(checked(path))
    content = bytearray(FILES[name].encode())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    write(folder, bytes(content), name)
    assert not open_manifest(path, Overrides()).recall(memory)
    write(folder, FILES[name] + "\n", name)
    assert not open_manifest(path, Overrides()).recall(memory)
    write(folder, FILES[name], name)
    assert open_manifest(path, Overrides()).recall(memory)


def _other_version(_: str, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr(draft, "__version__", "0.0.0")
    return {}


def _other_expansion(_: str, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr(draft, "EXPANSION_VERSION", 0)
    return {}


def _other_file(path: str, _: pytest.MonkeyPatch) -> dict[str, Any]:
    write(Path(path).parent, "prompt,negative_prompt\na kite,text\na tern,\n", "more.csv")
    return {}


def _no_file(path: str, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    write(Path(path).parent, SWEEP.replace("more.csv", "even.csv"))
    write(Path(path).parent, "prompt,negative_prompt\na kite,text\na gull,\n", "even.csv")
    return {}


CHANGES: dict[str, Callable[[str, pytest.MonkeyPatch], dict[str, Any]]] = {
    "set": lambda *_: {"set": (("seed", "7"),)},
    "matrix": lambda *_: {"matrix": ("seed=1..3",)},
    "model": lambda *_: {"model": "google-deepmind/imagen-4/text-to-image"},
    "prompt column": lambda *_: {"prompt_column": "prompt"},
    "version": _other_version,
    "rules of expansion": _other_expansion,
    "a file it names": _other_file,
    "the name of that file": _no_file,
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_else_changes_is_checked_again(sweep: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = kept(checked(sweep))
    assert not looked_at(sweep, memory)
    flags = CHANGES[what](sweep, monkeypatch)
    assert looked_at(sweep, memory, **flags)


def test_another_format_of_the_same_bytes_is_checked_again(tmp_path: Path) -> None:
    path = write(tmp_path, "prompt\na heron\n", "p.csv")
    assert looked_at(path, kept(checked(path)), format="txt")


def test_the_same_file_by_another_name_is_checked_again(tmp_path: Path) -> None:
    memory = kept(checked(write(tmp_path, "a heron\n", "p.txt")))
    assert looked_at(write(tmp_path, "a heron\n", "q.txt"), memory)


def test_another_schema_is_looked_at_again_and_none_as_well(tmp_path: Path) -> None:
    path = write(tmp_path, "prompt\na heron\n", "p.csv")
    entry = {"type": "object", "properties": {"prompt": {"type": "string", "maxLength": 3}}, "required": ["prompt"]}
    longer = {**entry, "properties": {"prompt": {"type": "string", "maxLength": 30}}}
    memory = kept(checked(path, ModelSchema.from_json("m", longer)))
    assert not looked_at(path, memory, ModelSchema.from_json("m", longer))
    assert looked_at(path, memory, None)
    with pytest.raises(Exception, match="prompt"):
        looked_at(path, memory, ModelSchema.from_json("m", entry))


def test_a_folder_of_texts_is_recognised_by_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    write(folder, "a heron", "a.txt")
    memory = kept(checked(str(folder)))
    assert not looked_at(str(folder), memory)
    write(folder, "a kite", "b.txt")
    assert looked_at(str(folder), memory)


def test_standard_input_is_recognised_by_what_comes() -> None:
    first = open_manifest("-", Overrides(), stdin=io.BytesIO(b"a heron\n")).check(IMAGEN)
    same, other = (open_manifest("-", Overrides(), stdin=io.BytesIO(text)) for text in (b"a heron\n", b"a kite\n"))
    assert same.recall(kept(first))
    assert not other.recall(kept(first))
    for spooled in (first, same, other):
        spooled.close()


@pytest.mark.parametrize("facts", [None, 7, [], {}, {"said": "x"}, {"watched": "no base 64!"}])
def test_what_is_no_memory_is_none(facts: Any) -> None:
    assert Memory.from_json(facts) is None


def test_a_memory_that_was_meddled_with_is_none(sweep: str) -> None:
    facts = checked(sweep).memory.as_json()
    assert Memory.from_json(facts) is not None
    for name in facts:
        assert Memory.from_json({other: value for other, value in facts.items() if other != name}) is None
    assert Memory.from_json({**facts, "watched": "AAAA"}) is None


def test_a_memory_that_would_fill_the_machines_memory_is_none(sweep: str) -> None:
    facts = checked(sweep).memory.as_json()
    assert Memory.from_json({**facts, "watched": Watched(bytes(2**24)).packed()}) is not None
    assert Memory.from_json({**facts, "watched": Watched(bytes(2**24 + 1)).packed()}) is None


@given(st.sets(st.integers(0, 300)), st.integers(0, 320), st.integers(0, 320))
def test_watched_numbers_come_back_from_their_bits(numbers: set[int], start: int, end: int) -> None:
    bits = bytearray(40)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    watched = Watched.unpacked(Watched(bits).packed())
    assert {number for number in range(400) if number in watched} == numbers
    assert list(watched.between(start, end)) == sorted(number for number in numbers if start <= number < end)


PROMPTS = st.lists(st.sampled_from(["a heron", "a kite", "a gull", "a {time} lake"]), min_size=1, max_size=7)


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, str]:
    """Files by name: prompts that occur again and again, in all kinds of files, swept or not, some pinned."""
    files: dict[str, str] = {}
    entries: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        prompts = draw(PROMPTS)
        kind = draw(st.sampled_from(["inline", "txt", "csv", "jsonl", "json", "folder"]))
        pins = [draw(st.sampled_from(["", "2", "9"])) for _ in prompts]
        if kind == "inline":
            entries += prompts
            continue
        name = f"f{number}" if kind == "folder" else f"f{number}.{kind}"
        extra = ', vars: {time: [misty, "9"]}' if draw(st.booleans()) and "a {time} lake" in prompts else ""
        entries.append(f"{{file: {name}{extra}}}")
        pairs = list(zip(prompts, pins, strict=True))
        rows = [{"prompt": prompt, **({"seed": int(pin)} if pin else {})} for prompt, pin in pairs]
        if kind == "folder":
            files |= {f"{name}/{at}.txt": prompt for at, prompt in enumerate(prompts)}
        elif kind == "csv":
            files[name] = "prompt,seed\n" + "".join(f'"{prompt}",{pin}\n' for prompt, pin in pairs)
        else:
            lines = {"txt": prompts, "jsonl": map(json.dumps, rows), "json": [json.dumps(rows)]}[kind]
            files[name] = "\n".join(lines) + "\n"
    sweep = draw(
        st.sampled_from(["", "matrix: {seed: 1..3}\n", "matrix: {seed: [2, 1], aspect_ratio: ['1:1', '16:9']}\n"])
    )
    listed = "".join(f"  - {entry if entry.startswith('{file') else json.dumps(entry)}\n" for entry in entries)
    files["m.yaml"] = f"prompts:\n{listed}{sweep}"
    return files


@given(files=manifests(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_walk_that_begins_anywhere_gives_the_rest_of_a_whole_one(
    files: dict[str, str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("walk")
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write(folder, content, name)
    manifest = checked(str(folder / "m.yaml"))
    whole = list(manifest.jobs())
    assert len(whole) == manifest.total
    start = data.draw(st.integers(0, len(whole) + 1))
    assert list(manifest.jobs(start)) == whole[start:]
    limited = checked(str(folder / "m.yaml"), limit=data.draw(st.integers(1, len(whole))))
    assert list(limited.jobs(start)) == whole[start : limited.total]
