"""Flags that shape the jobs of a manifest, such as ``--set`` and ``--matrix``. A bad flag is a UsageError (exit 64)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from batcher.core.errors import Mistake, UsageError
from batcher.core.naming import Template
from batcher.core.suggest import printable, quoted, suggestion
from batcher.manifest.readers.formats import FORMATS, named_format
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.sweep.axes import Axis, axis_of_flag, wrong_values
from batcher.manifest.sweep.repeats import Repeat, Repeats


@dataclass(frozen=True, slots=True)
class Overrides:
    """The flags, as given.

    model: a model id. format: a name of ``FORMATS``, or another name for one. prompt_column: None for ``prompt``.
    set: pairs of ``--set KEY=VALUE``. matrix: texts of ``--matrix KEY=SPEC``. limit: the most jobs to make.
    repeat: copies of each prompt. dynamic: prompts are templates. prompt_input: the model's input that prompts go to.
    path: of images, as ``output.path``. meta: names of columns that are plain metadata.
    """

    model: str | None = None
    set: tuple[tuple[str, str], ...] = ()
    matrix: tuple[str, ...] = ()
    format: str | None = None
    prompt_column: str | None = None
    limit: int | None = None
    repeat: int | None = None
    dynamic: bool = False
    prompt_input: str | None = None
    path: str | None = None
    meta: tuple[str, ...] = ()

    def named_format(self) -> str | None:
        """``--format``, None where it is not given. Raises UsageError for a format that does not exist."""
        if self.format is None:
            return None
        form = named_format(self.format)
        if form is None:
            raise bad_flag(f"--format {printable(self.format)}: no such format", f"use one of {', '.join(FORMATS)}")
        return form

    def template(self) -> Template | None:
        """``--path``, None where it is not given. Raises UsageError."""
        if self.path is None:
            return None
        with _refused(f"--path {printable(self.path)}"):
            return Template(self.path)

    def axes_as_text(self) -> list[tuple[str, str]]:
        """Pairs of ``KEY`` and ``SPEC``, one for each ``--matrix``. Raises UsageError."""
        pairs = []
        for text in self.matrix:
            name, equals, spec = text.partition("=")
            if not equals or not name.strip():
                hint = "Write --matrix aspect_ratio=16:9,1:1 or --matrix seed=1..20."
                raise UsageError(f"--matrix {printable(text)}: no KEY=VALUES", hint=hint)
            pairs.append((name.strip(), spec))
        names = [name for name, _ in pairs]
        for at, name in enumerate(names):
            if name in names[:at]:
                raise UsageError(f"--matrix {printable(name)} is given twice", hint="Put all values into one --matrix.")
        return pairs

    def names(self) -> Iterator[str]:
        """The inputs that these flags name."""
        yield from (name for name, _ in self.set)
        yield from (name for name, _ in self.axes_as_text())

    def values(self, model_inputs: ModelInputs) -> dict[str, Any]:
        """``--set`` as inputs. Raises UsageError."""
        values: dict[str, Any] = {}
        for name, text in self.set:
            flag = f"--set {printable(name)}={printable(text)}"
            _refuse_name(flag, name, model_inputs)
            with _refused(flag, name):
                values[name] = model_inputs.of(name).convert(text)
                if reason := model_inputs.wrong(name, values[name]):
                    raise ValueError(reason)
        return values

    def axes(self, model_inputs: ModelInputs) -> dict[str, Axis]:
        """``--matrix`` as axes. Raises UsageError."""
        axes: dict[str, Axis] = {}
        for name, spec in self.axes_as_text():
            flag = f"--matrix {printable(name)}={printable(spec)}"
            _refuse_name(flag, name, model_inputs)
            with _refused(flag, name):
                axes[name] = axis_of_flag(name, spec, model_inputs)
                for _, reason in wrong_values(name, axes[name], model_inputs):
                    raise ValueError(reason)
        return axes

    def copies(self, repeats: Repeats) -> Repeat | None:
        """``--repeat``, None where it is not given. Raises UsageError."""
        if self.repeat is None:
            return None
        with _refused(f"--repeat {self.repeat}"):
            return repeats.read(self.repeat)


def bad_flag(what: str, mend: str) -> UsageError:
    """The error of a flag. mend: how to fix it, as in problems of a manifest; it becomes a sentence."""
    return UsageError(what, hint=f"{mend[:1].upper()}{mend[1:]}{'' if mend.endswith('?') else '.'}")


@contextmanager
def _refused(flag: str, name: str = "") -> Iterator[None]:
    """What is wrong within is wrong with this flag; a ValueError is about the value of the input of that name."""
    try:
        yield
    except Mistake as error:
        column = f"column {error.column}: " if error.column else ""
        raise bad_flag(f"{flag}: {column}{error.what}", error.mend) from None
    except ValueError as error:
        raise UsageError(f"{flag}: `{name}` {error}") from None


def _refuse_name(flag: str, name: str, model_inputs: ModelInputs) -> None:
    if name in {"prompt", model_inputs.prompt}:
        raise UsageError(f"{flag}: prompts come from the manifest", hint="List them there, or use vars.")
    if not model_inputs.knows(name):
        mend = suggestion(name, [column for column in model_inputs.columns if column != "prompt"])
        raise bad_flag(f"{flag}: the model has no input {quoted(name)}", mend)
