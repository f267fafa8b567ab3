"""What a manifest comes to once it is compared with a model: all that reading the prompts needs."""

from collections.abc import Iterator
from dataclasses import dataclass

from batcher.core.naming import Template
from batcher.manifest.paths import Paths
from batcher.manifest.problems import Problems
from batcher.manifest.readers.formats import Reader
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.sweep.sweep import Sweep
from batcher.manifest.yaml.document import Document
from batcher.manifest.yaml.entries import Entry, Inline


@dataclass(frozen=True, slots=True)
class Group:
    """A sweep over some prompts: a named group of the manifest, or all of it.

    document: where it stands. paths: how pictures are named. template: of ``output.path``, None for the default.
    whole_sweep, whole_entries: whether nothing was wrong with them so far, so that nothing was left out.
    """

    document: Document
    sweep: Sweep
    entries: tuple[Entry, ...]
    paths: Paths
    template: Template | None
    whole_sweep: bool = True
    whole_entries: bool = True

    @property
    def name(self) -> str | None:
        return self.document.group

    def least_jobs(self) -> int:
        """How many jobs its inline prompts make at least: known without reading a file."""
        rows = (row for entry in self.entries if isinstance(entry, Inline) for row in entry.held)
        return sum(self.sweep.count(self.sweep.pins(row.inputs)) for row in rows)


@dataclass(frozen=True, slots=True)
class Plan:
    """groups: in order; one without a name where the manifest has none."""

    model: str
    model_inputs: ModelInputs
    groups: tuple[Group, ...]

    def readers(self, group: Group, problems: Problems) -> Iterator[tuple[Entry, Reader]]:
        for entry in group.entries:
            yield entry, self.reader(entry, problems)

    def reader(self, entry: Entry, problems: Problems) -> Reader:
        return entry if isinstance(entry, Inline) else entry.open(self.model, self.model_inputs, problems)
