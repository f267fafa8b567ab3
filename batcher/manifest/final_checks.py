"""What can only be told when every prompt has been seen: groups without jobs, paths nothing fills, crowded folders."""

import re
from collections.abc import Sequence

from batcher.core.suggest import suggestion
from batcher.manifest.paths import MOST_ENTRIES, RESERVED, fullest_folder
from batcher.manifest.plan import Group, Plan
from batcher.manifest.problems import Problems
from batcher.manifest.readers.columns import word
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.walk import MOST_JOBS, MOST_NAMES, Walk

_PICTURE = re.compile(r"\.(png|jpe?g|webp|gif|avif)\Z", re.IGNORECASE)


def final_checks(plan: Plan, walk: Walk, problems: Problems) -> None:
    """After the walk; problems go to ``problems``, warnings to the plan's inputs."""
    if walk.too_many:
        _refuse_size(plan, walk, problems)
    for group, share, sound in zip(plan.groups, walk.shares, walk.sound, strict=True):
        if group.template is not None:
            names, all_rows = walk.names[group.template.text], walk.counted_all and not problems.total
            unknown = _unknown_fields(group, plan.model_inputs, names, all_rows=all_rows)
            _refuse_fields(group, group.template.text, unknown)
        if walk.counted_all and not share.whole and sound and (group.whole_sweep or not share.prompts):
            _say_why_none(group, share.prompts)
    _warn_of_names(plan)
    if walk.counted_all:
        _warn_of_crowds(plan, walk)
    for words in (walk.repeated.words(), walk.shared_ids.words()):
        if words:
            plan.model_inputs.warn(words)


def _refuse_size(plan: Plan, walk: Walk, problems: Problems) -> None:
    largest = max(range(len(plan.groups)), key=lambda at: walk.shares[at].whole)
    document = plan.groups[largest].document
    node = document.sections.get("matrix") or document.place
    line, column = (node.line, node.column) if node else (0, 0)
    most = "" if plan.groups[largest].sweep.plain else "up to "
    what = f"it makes {most}{walk.whole:,} jobs; the maximum is {MOST_JOBS:,}"
    problems.add(document.label, line, column, what, "use fewer values, or make the first ones with --limit N")


def _say_why_none(group: Group, prompts: int) -> None:
    """Why there are no jobs, and what to do about it."""
    document, place = group.document, group.document.place
    what, mend = (
        ("`exclude` removes every combination", "exclude fewer") if prompts else ("there is no prompt in it", "add one")
    )
    if place is None:
        document.problems.add(document.label, 0, 0, what, mend)
    elif document.group and place.pairs:  # an empty group has a problem already
        document.add(place, f"{what} in the group `{group.name}`", mend)


def _refuse_fields(group: Group, text: str, unknown: Sequence[tuple[str, str]]) -> None:
    document = group.document
    for field, mend in unknown:
        what, at = f"unknown field {{{word(field)}}} in `path`", max(text.find("{" + field), 0)
        if document.template is None or document.template[0] != text:
            document.problems.add("--path", 0, 0, what, mend)
        else:
            node = document.template[1]
            document.problems.add(document.label, node.line, node.column + node.quoted + at, what, mend)


def _warn_of_names(plan: Plan) -> None:
    for text in dict.fromkeys(group.template.text for group in plan.groups if group.template):
        if match := _PICTURE.search(text):
            plan.model_inputs.warn(
                f"`output.path` ends with {match[0]}, and the extension is added to it: leave it out"
            )
        if text.startswith("images/"):
            plan.model_inputs.warn(
                "`output.path` begins with images/, and is inside the folder images anyway: leave it out"
            )


def _warn_of_crowds(plan: Plan, walk: Walk) -> None:
    crowds: dict[str, int] = {}
    for group, share in zip(plan.groups, walk.shares, strict=True):
        if group.template and share.whole:
            axes = {name: len(axis) for name, axis in group.sweep.axes.items()}
            most, text = fullest_folder(group.template, share.whole, share.prompts, axes), group.template.text
            apart = "group" in group.template.fields
            crowds[text] = max(crowds.get(text, 0), most) if apart else crowds.get(text, 0) + most
    for most in crowds.values():
        if most > MOST_ENTRIES:
            plan.model_inputs.warn(f"`output.path` puts about {most:,} names into one folder: begin it with {{shard}}/")


def _unknown_fields(
    group: Group, model_inputs: ModelInputs, names: set[str], *, all_rows: bool
) -> list[tuple[str, str]]:
    """Fields of the path template that nothing fills, each with how to fix it. all_rows: whether all were read."""
    if group.template is None:
        return []
    own = ["group", "meta.group"] if group.name else []
    names_there = [*RESERVED, *own, *model_inputs.columns, *sorted(names)]
    if model_inputs.schema is None:  # then any name may be an input
        names_there += [field for field in group.template.fields if not field.startswith("meta.")]
    unknown = []
    for field in sorted(group.template.fields - set(names_there)):
        if not field.startswith("meta."):
            unknown.append((field, suggestion(field, [*names_there, "meta.<name>"])))
        elif all_rows and len(names) < MOST_NAMES:
            listed = [name for name in names_there if name.startswith("meta.")]
            if listed:
                unknown.append((field, suggestion(field, listed)))
            else:
                model_inputs.warn(f"`output.path`: no prompt has {{{word(field)}}}, which is written as `default`")
    return unknown
