"""Named groups: several sweeps in one manifest.

The jobs of such a manifest are those of its groups, in order, and no others. ``matrix``, ``zip``, ``exclude`` and
``include`` multiply jobs, so they belong to a group: two sweeps that multiply each other would be paid for. Other
sections may stand at the top for all groups, and those of a group win: ``defaults`` key by key, ``prompts`` and
``output`` as a whole.

A group is a document with the problems of the manifest. Its name is the folder of its images and no part of a job's
key: groups can be renamed, and jobs can move from one to another.
"""

import re
from dataclasses import replace

from batcher.core.naming import folded, safe_part
from batcher.core.suggest import printable, quoted
from batcher.manifest.yaml.document import Document, instead_of, kind_of, read_output
from batcher.manifest.yaml.tree import Node

_OF_ONE = ("matrix", "zip", "exclude", "include")  # group: they can't stand beside `groups`
_KEYS = ("defaults", "dynamic", "prompts", *_OF_ONE, "output")
_NAME = re.compile(r"\w[\w-]{0,63}")  # no dots: a folder x.png would be in the way of an image x
MOST = 1_000


def groups_of(document: Document) -> list[Document]:
    """The groups of a manifest, in order; the manifest itself, to be checked, without groups or if they are wrong."""
    node = document.sections.get("groups")
    if node is None:
        return [document]
    whole = [replace(document, place=node)]
    if node.kind != "mapping" or not node.pairs:
        instead = "an empty mapping" if node.kind == "mapping" else kind_of(node)
        document.add(node, f"`groups` must have named groups, not {instead}", "write `name:` lines below it")
        return whole
    if len(node.pairs) > MOST:
        document.add(node, f"{len(node.pairs):,} groups", f"use at most {MOST:,}: each is looked at by itself")
        return whole
    for section in _OF_ONE:
        if section in document.sections:
            what = f"`{section}` can't be used next to `groups`"
            document.add(document.sections[section], what, "move it into the group it belongs to")
    taken: dict[str, str] = {}
    for name, (key, _) in node.pairs.items():
        _refuse_name(document, name, key, taken)
    groups = [_group(document, printable(name), value) for name, (_, value) in node.pairs.items()]
    if "prompts" in document.sections and not any(group.shares_prompts for group in groups):
        what = "no group uses these `prompts`: each has its own"
        document.add(document.sections["prompts"], what, "move them into the groups, or remove them")
    return groups


def _refuse_name(document: Document, name: str, key: Node, taken: dict[str, str]) -> None:
    """Adds a problem for a name that no group may have. taken: earlier names, by their form without letter case."""
    if not _NAME.fullmatch(name) or safe_part(name) != name:
        mend = "use letters, digits, `_` and `-`: it is the name of a folder"
        document.add(key, f"{quoted(name)} can't be the name of a group", mend)
    elif (other := taken.setdefault(folded(name), name)) != name:
        what = f"{quoted(other)} and {quoted(name)} are one folder where letter case does not count"
        document.add(key, what, "rename one of them")


def _group(document: Document, name: str, node: Node) -> Document:
    group = Document(document.label, document.problems, group=name, place=node, template=document.template)
    if node.kind == "null" or (node.kind == "mapping" and not node.pairs):
        document.add(node, f"the group `{name}` is empty", "give it a `matrix:` or `prompts:`, or remove it")
        _take_prompts(group, document)
        return group
    for key, (place, value) in document.mapping(node, f"the group `{name}`").items():
        if key in _KEYS:
            group.sections[key] = value
        else:
            what, mend = f"{quoted(key)} in the group `{name}`", "it is the same for all groups: put it at the top"
            if key == "groups":
                mend = "a group can't contain groups: put them side by side"
            elif key not in {"model", "prompt_input", "run"}:
                what, mend = f"unknown key {what}", instead_of(key, _KEYS)
            document.add(place, what, mend)
    if "prompts" not in group.sections:
        _take_prompts(group, document)
    if "output" in group.sections:
        group.template = None
        read_output(group)
    return group


def _take_prompts(group: Document, document: Document) -> None:
    """Gives a group the prompts for all groups. An empty group has them, too, so that their problems are listed."""
    group.shares_prompts = True
    if "prompts" in document.sections:
        group.sections["prompts"] = document.sections["prompts"]
