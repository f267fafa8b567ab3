"""Checks that need every prompt: groups without jobs, fields of paths that nothing fills, crowded folders."""

import re

from batcher.core.suggest import printable, suggestion
from batcher.manifest.paths import MOST_ENTRIES, RESERVED, fullest_folder
from batcher.manifest.plan import Group, Plan
from batcher.manifest.walk import MOST_JOBS, MOST_NAMES, Walk

_EXTENSION = re.compile(r"\.(png|jpe?g|webp|gif|avif)\Z", re.IGNORECASE)


def final_checks(plan: Plan, walk: Walk) -> None:
    """Adds to the plan's problems, and to the warnings of its inputs, once the walk is over."""
    if walk.too_many:
        _refuse_size(plan, walk)
    for group, share, sound in zip(plan.groups, walk.shares, walk.sound, strict=True):
        _check_fields(plan, group, walk, all_rows=walk.counted_all and not plan.problems.total)
        if walk.counted_all and not share.whole and sound and (group.whole_sweep or not share.prompts):
            _say_why_none(group, share.prompts)
    _warn_of_names(plan)
    if walk.counted_all:
        _warn_of_crowds(plan, walk)
    for words in (walk.repeated.words(), walk.shared_ids.words()):
        if words:
            plan.model_inputs.warn(words)


def _refuse_size(plan: Plan, walk: Walk) -> None:
    _, group = max(zip(walk.shares, plan.groups, strict=True), key=lambda pair: pair[0].whole)
    node = group.document.sections.get("matrix") or group.document.place
    line, column = node.place if node else (0, 0)
    most = "" if group.sweep.plain else "up to "
    what = f"it makes {most}{walk.whole:,} jobs; the maximum is {MOST_JOBS:,}"
    mend = "use fewer values, or make the first ones with --limit N"
    plan.problems.add(group.document.label, line, column, what, mend)


def _say_why_none(group: Group, prompts: int) -> None:
    """A group without jobs is a problem. prompts: how many it has."""
    document, place = group.document, group.document.place
    what, mend = "there is no prompt in it", "add one"
    if prompts:
        what, mend = "`exclude` removes every combination", "exclude fewer"
    if place is None:
        document.problems.add(document.label, 0, 0, what, mend)
    elif document.group and place.pairs:  # an empty group has a problem already
        document.add(place, f"{what} in the group `{group.name}`", mend)


def _check_fields(plan: Plan, group: Group, walk: Walk, *, all_rows: bool) -> None:
    """Fields of the path template that nothing fills. all_rows: whether all rows were read, and none was wrong."""
    if group.template is None:
        return
    names = walk.names[group.template.text]
    own = ["group", "meta.group"] if group.name else []
    fillable = [*RESERVED, *own, *plan.model_inputs.columns, *sorted(names)]
    if plan.model_inputs.schema is None:  # then any name may be an input
        fillable += [field for field in group.template.fields if not field.startswith("meta.")]
    meta = [name for name in fillable if name.startswith("meta.")]
    for field in sorted(group.template.fields - set(fillable)):
        if not field.startswith("meta."):
            _refuse_field(group, field, suggestion(field, [*fillable, "meta.<name>"]))
        elif all_rows and len(names) < MOST_NAMES:
            if meta:
                _refuse_field(group, field, suggestion(field, meta))
            else:
                what = f"no prompt has {{{printable(field)}}}, which is written as `default`"
                plan.model_inputs.warn(f"`output.path`: {what}")


def _refuse_field(group: Group, field: str, mend: str) -> None:
    document, text = group.document, group.template.text if group.template else ""
    what = f"unknown field {{{printable(field)}}} in `path`"
    if document.template is None or document.template[0] != text:
        document.problems.add("--path", 0, 0, what, mend)
    else:
        document.add(document.template[1], what, mend, max(text.find("{" + field), 0))


def _warn_of_names(plan: Plan) -> None:
    for text in dict.fromkeys(group.template.text for group in plan.groups if group.template):
        if match := _EXTENSION.search(text):
            what = f"ends with {match[0]}, and the extension is added to it"
            plan.model_inputs.warn(f"`output.path` {what}: leave it out")
        if text.startswith("images/"):
            what = "begins with images/, and is inside the folder images anyway"
            plan.model_inputs.warn(f"`output.path` {what}: leave it out")


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
