"""What can only be told when every prompt has been seen: groups without jobs, paths nothing fills, crowded folders."""

from collections.abc import Mapping

from batcher.manifest.check import Check, unknown_fields
from batcher.manifest.inputs import Terms
from batcher.manifest.paths import MOST_ENTRIES, fullest_folder
from batcher.manifest.plan import Group, Plan
from batcher.manifest.readers.columns import word


def judge(plan: Plan, check: Check) -> None:
    """After the check; problems go to the groups' documents, warnings to the terms."""
    for group, (prompts, _, whole), sound in zip(plan.groups, check.groups, check.sound, strict=True):
        _check_template(group, plan.terms, check.names)
        if not whole and sound and (group.whole_sweep or not prompts):
            _say_why_none(group, prompts)
    _warn_of_crowds(plan, check)


def _say_why_none(group: Group, prompts: int) -> None:
    """Why there are no jobs, and what to do about it."""
    document, place = group.document, group.document.place
    what, mend = (
        ("`exclude` leaves no combination", "exclude less") if prompts else ("there is no prompt in it", "add one")
    )
    if place is None:
        document.problems.add(document.label, 0, 0, what, mend)
    elif document.group and place.pairs:  # an empty group has a problem already
        document.add(place, f"{what} in the group `{group.name}`", mend)


def _check_template(group: Group, terms: Terms, names: Mapping[str, set[str]]) -> None:
    if group.document.template is None or group.template is None:
        return
    for field, mend in unknown_fields(group, terms, names[group.template.text]):
        text, node = group.document.template
        column = node.column + node.quoted + max(text.find("{" + field), 0)
        what = f"unknown field {{{word(field)}}} in `path`"
        group.document.problems.add(group.document.label, node.line, column, what, mend)


def _warn_of_crowds(plan: Plan, check: Check) -> None:
    crowds: dict[str, int] = {}
    for group, (prompts, _, whole) in zip(plan.groups, check.groups, strict=True):
        if group.template and whole:
            axes = {name: len(axis) for name, axis in group.sweep.axes.items()}
            most, text = fullest_folder(group.template, whole, prompts, axes), group.template.text
            apart = "group" in group.template.fields
            crowds[text] = max(crowds.get(text, 0), most) if apart else crowds.get(text, 0) + most
    for most in crowds.values():
        if most > MOST_ENTRIES:
            plan.terms.warn(f"`output.path` puts about {most:,} names into one folder: begin it with {{shard}}/")
