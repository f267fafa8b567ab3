"""Checks of one row: inputs that are missing or invalid, vars that no text uses, paths that can't be made."""

import re
from collections.abc import Collection
from typing import Any

from batcher.core.naming import TemplateError
from batcher.core.suggest import printable, quoted, suggestion
from batcher.manifest.paths import Facts
from batcher.manifest.plan import Group, Plan
from batcher.manifest.readers.rows import Row
from batcher.manifest.schema.words import shown
from batcher.manifest.templates import variables
from batcher.manifest.yaml.entries import Inline

_TIME = re.compile(r"0?([0-9]{1,2}):0?([0-9]{1,2})(:[0-9]{2})?( [AP]M)?")
_CHOICES = re.compile(r"\{[^{}|\"]{0,80}(?:\|[^{}|\"]{0,80})+\}|__[A-Za-z][A-Za-z0-9_/-]{0,60}?__(?!_)")
_BLANK = re.compile(r"\{([A-Za-z_][\w -]{0,40})\}")
_MOST_REMEMBERED = 10_000  # names in braces
_MOST_RENDERINGS = 1_000_000  # of one row
_FRACTION = re.compile(r"[0-9]*\.[0-9]{3,}")


def _spreadsheet_fault(value: Any, ratios: Collection[str]) -> tuple[str, str] | None:
    """What is wrong, and how to fix it, where a spreadsheet program made a time or a fraction of a ratio."""
    if not isinstance(value, str) or not ratios:
        return None
    text, wanted = value.strip(), "the ratio"
    if (match := _TIME.fullmatch(text)) and text != (ratio := f"{match[1]}:{match[2]}"):
        wanted = ratio if ratio in ratios else wanted
        what = f"is {text}, a time, which is what spreadsheet programs turn a ratio into"
    elif _FRACTION.fullmatch(text):
        what = f"is {text[:20]}, a part of a day, which is what spreadsheet programs turn a ratio into"
    else:
        return None
    return what, f"format the column as text, and write {wanted} again"


def _kind(row: Row, name: str) -> str:
    """The kind of a problem: a file may have it by the thousand; prompts of a manifest are few, and each is listed."""
    return "" if isinstance(row.reader, Inline) else name


class RowCheck:
    """Checks the rows of one group after the other (``turn_to``). What is wrong goes to the problems of ``plan``."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._problems = plan.problems
        self._warned: set[str] = set()  # files whose braces were warned of
        self._first: dict[tuple[str, str], int] = {}  # by file and name in braces: the line of the first one

    def turn_to(self, group: Group) -> None:
        """The next rows are of this group."""
        self._group = group
        self._needed = self._plan.model_inputs.required() - group.sweep.base.keys() - group.sweep.axes.keys()
        self._tries_path = group.template is not None and ":" in group.template.text

    def braces(self, row: Row, prompt: Any) -> None:
        """Warns, once a file, of what looks like a template and stays text."""
        if not isinstance(prompt, str) or ("{" not in prompt and "__" not in prompt) or row.source in self._warned:
            return
        if match := _CHOICES.search(prompt):
            mend = "--dynamic (or `dynamic: true`) makes a prompt of each choice"
        elif match := _BLANK.search(prompt):
            name = match[1]
            mend = "`vars` in a YAML manifest fill such names"
            if name in row.meta or name in row.inputs:
                mend = f"the column {quoted(name)} fills nothing; {mend}"
            elif not row.vars and not self._came_before(row, name):
                return  # once may be meant: prompts of benchmarks are full of braces
        else:
            return
        self._warned.add(row.source)
        self._plan.model_inputs.warn(f"{row.source}:{row.line}: {shown(match[0])} is sent unchanged: {mend}")

    def _came_before(self, row: Row, name: str) -> bool:
        """Whether an earlier prompt of the file has the same name in braces."""
        if len(self._first) >= _MOST_REMEMBERED:
            return False
        return self._first.setdefault((row.source, name), row.line) != row.line

    def inputs(self, row: Row, inputs: dict[str, Any]) -> bool:
        """Whether a row's inputs can be sent; if not, the problems say why."""
        before, check_of = self._problems.total, self._plan.model_inputs.check_of
        if not self._needed <= inputs.keys():
            for name in sorted(self._needed - inputs.keys()):
                own = printable(self._plan.model_inputs.own_name(name))
                what = f"`{own}` is missing" + ("" if name == "prompt" else ", and the model needs it")
                mend = f"add `{own}`" if isinstance(row.reader, Inline) else f"add `{own}`, or remove the row"
                self._problems.add(*row.place(name), what, mend, kind=_kind(row, f"no {name}"))
        for name, value in inputs.items():
            if (reason := check_of(name)(value)) is not None:
                self._wrong(row, name, value, reason)
        return self._problems.total == before

    def _wrong(self, row: Row, name: str, value: Any, reason: str) -> None:
        model_inputs = self._plan.model_inputs
        own, its_input = model_inputs.own_name(name), model_inputs.of(name)
        mend = "write one, or remove the row" if reason == "is empty" else model_inputs.mend(name)
        if its_input.is_free_text and isinstance(value, int | float):
            mend = f"put it in quotes: {shown(str(value).lower() if isinstance(value, bool) else repr(value))}"
        if (fault := _spreadsheet_fault(value, its_input.ratios)) is not None:
            reason, mend = fault
        self._problems.add(*row.place(name), f"{quoted(own)} {reason}", mend, kind=_kind(row, f"wrong {name}"))

    def vars(self, row: Row, used: frozenset[str]) -> bool:
        """Whether the row's vars, variants and copies can be filled in. used: the vars that its texts mention."""
        unused = row.vars.keys() - used if isinstance(row.reader, Inline) else ()  # those of a file are for all rows
        for name in sorted(unused):
            near = suggestion(name, variables.braces(row)) if variables.braces(row) else ""
            mend = (
                near.replace("`", "")
                if near.startswith("did you mean")
                else f"write {{{printable(name)}}} in the prompt"
            )
            self._problems.add(*row.place(f"vars.{name}"), f"no text uses the var {quoted(name)}", mend)
        if variables.bound(row) <= _MOST_RENDERINGS:
            return True
        what = f"its variants, vars and copies make more than {_MOST_RENDERINGS:,} prompts from one"
        self._problems.add(*row.place("vars"), what, "use fewer values or copies, or a prompt file")
        return False

    def path(self, row: Row, rendering: variables.Rendering) -> None:
        """Tries the first path of a row that makes no jobs: a format such as ``{seed:04d}`` may not fit its value."""
        if not self._tries_path:
            return
        sweep = self._group.sweep
        facts = Facts(row, row.id or "id", sweep.keys, rendering.texts, row.meta)
        first: dict[str, Any] = next(sweep.combinations(sweep.pins(rendering.inputs)), {})
        try:
            self._group.paths.path(facts, {**sweep.base, **first, **rendering.inputs}, 0, 1, "0" * 32)
        except TemplateError as error:
            self.bad_path(row, error)

    def bad_path(self, row: Row, error: TemplateError) -> None:
        """A problem of the row: ``output.path`` can't be filled in."""
        file, line, _ = row.place("")
        self._problems.add(file, line, 1, f"`output.path` does not fit this prompt: {error.what}", error.mend)
