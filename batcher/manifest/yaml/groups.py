"""Named groups: several sweeps in one manifest.

The jobs of such a manifest are those of its groups, one group after the other, and no others: what multiplies jobs
(``matrix`` and its kin) belongs to a group, and stands at the top only where there are no groups. Two sweeps that
multiply each other unseen would be paid for. What multiplies nothing may stand at the top for all groups, and a group's
own is stronger: ``defaults`` key by key, ``prompts`` and ``output`` as a whole.

A group is a document by itself, with the problems of the manifest. Its name is where its pictures go, and no part of
what a job is: groups can be renamed, and jobs can move from one to another.
"""

import re
from dataclasses import replace

from batcher.core.naming import folded, safe_part
from batcher.manifest.readers.columns import word
from batcher.manifest.yaml.document import Document, instead_of, kind_of, read_output
from batcher.manifest.yaml.node import Node

_OF_ONE = ("matrix", "zip", "exclude", "include")  # groups: of no other place in a manifest that has them
_KEYS = ("defaults", "dynamic", "prompts", *_OF_ONE, "output")
_NAME = re.compile(r"\w[\w-]{0,63}")  # no dots: a folder called x.png would be in the way of a picture called x
MOST = 1_000


def groups_of(document: Document) -> list[Document]:
    """The groups of a manifest, in order; without any, the manifest itself, which is also there to be checked where
    the groups can't be told.
    """
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
    _refuse_what_multiplies(document)
    taken: dict[str, str] = {}
    for name, (key, _) in node.pairs.items():
        _refuse_name(document, name, key, taken)
    groups = [_group(document, word(name), value) for name, (_, value) in node.pairs.items()]
    if "prompts" in document.sections and not any(group.shares_prompts for group in groups):
        what = "no group uses these `prompts`: each has its own"
        document.add(document.sections["prompts"], what, "move them into the groups, or remove them")
    return groups


def _refuse_what_multiplies(document: Document) -> None:
    for section in _OF_ONE:
        if section in document.sections:
            what = f"`{section}` can't be used next to `groups`"
            document.add(document.sections[section], what, "move it into the group it belongs to")


def _refuse_name(document: Document, name: str, key: Node, taken: dict[str, str]) -> None:
    """A name that no group may have is a problem. taken: those before it, as folders that ignore letter case."""
    if not _NAME.fullmatch(name) or safe_part(name) != name:
        mend = "use letters, digits, `_` and `-`: it is the name of a folder"
        document.add(key, f"`{word(name)}` can't be the name of a group", mend)
    elif (other := taken.setdefault(folded(name), name)) != name:
        what = f"`{word(other)}` and `{word(name)}` are one folder where letter case does not count"
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
            of_the_whole = key in {"model", "prompt_input", "run", "groups"}
            mend = "it is the same for all groups: put it at the top" if of_the_whole else instead_of(key, _KEYS)
            what = (
                f"`{key}` in the group `{name}`" if of_the_whole else f"unknown key `{word(key)}` in the group `{name}`"
            )
            document.add(
                place, what, "a group can't contain groups: put them side by side" if key == "groups" else mend
            )
    if "prompts" not in group.sections:
        _take_prompts(group, document)
    if "output" in group.sections:
        group.template = None
        read_output(group)
    return group


def _take_prompts(group: Document, document: Document) -> None:
    """Those for all groups; an empty group has them, too, as what is wrong with them is told with the rest."""
    group.shares_prompts = True
    if "prompts" in document.sections:
        group.sections["prompts"] = document.sections["prompts"]
