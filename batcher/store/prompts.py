"""The prompts of jobs, whose input some models call ``text`` or ``tags`` (``--prompt-input``)."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from batcher.core.job import Entry
from batcher.store.facts import read_facts
from batcher.store.joined import run_of, runs_of
from batcher.store.opening import connect_to_read

PROMPT = "prompt"


class Prompts:
    """Finds the prompts of the jobs of a run directory. Of several runs that are read as one, each has its own name.

    run_dir: read once, when this is made. A job is given by its row number. Raises UsageError, DiskError if a run can't
    be read.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._names = {run: _name_in(run) for run in runs_of(run_dir)}

    def inputs(self, job: int, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The inputs, with the prompt also under the name ``prompt``."""
        return inputs if PROMPT in inputs else with_prompt(inputs, self.name(job))

    def of(self, job: int, inputs: Mapping[str, Any]) -> str:
        """The prompt; "" if there is none, or it is not a text."""
        return text_of(self.inputs(job, inputs))

    def entry(self, entry: Entry) -> Entry:
        """The entry, whose inputs have the prompt also under the name ``prompt``."""
        job = entry.job
        inputs = self.inputs(entry.id, job.inputs)
        if inputs is job.inputs:
            return entry
        return msgspec.structs.replace(entry, job=msgspec.structs.replace(job, inputs=inputs))

    def others(self, job: int, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs without the prompt."""
        own = PROMPT if PROMPT in inputs else self.name(job)
        return {name: value for name, value in inputs.items() if name != own}

    def name(self, job: int) -> str | None:
        """What the model calls the input of prompts; None if it has none."""
        return self._names[run_of(self._run_dir, job)]


def with_prompt(inputs: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    """The inputs, with the prompt also under the name ``prompt``. name: what the model calls it; None if unknown."""
    if name is None or name not in inputs or PROMPT in inputs:
        return inputs
    return {PROMPT: inputs[name], **inputs}


def text_of(inputs: Mapping[str, Any]) -> str:
    """The input ``prompt``; "" if there is none, or it is not a text."""
    prompt = inputs.get(PROMPT)
    return prompt if isinstance(prompt, str) else ""


def _name_in(run_dir: Path) -> str | None:
    with closing(connect_to_read(run_dir)) as connection:
        return read_facts(connection).prompt_input
