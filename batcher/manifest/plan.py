"""What a manifest comes to once it is compared with a model: all that both passes over the prompts need."""

from collections.abc import Iterator
from dataclasses import dataclass

from batcher.manifest.entries import Entry, FromFile, Inline
from batcher.manifest.formats import Reader
from batcher.manifest.paths import Paths
from batcher.manifest.problems import Problems
from batcher.manifest.rows import Row
from batcher.manifest.source import Source
from batcher.manifest.sweep import Sweep
from batcher.manifest.terms import Terms
from batcher.naming import Template


@dataclass(frozen=True, slots=True)
class Plan:
    """paths: how pictures are named. template: of ``output.path``, None for the default."""

    model: str
    terms: Terms
    sweep: Sweep
    entries: tuple[Entry, ...]
    paths: Paths
    template: Template | None

    def readers(self, problems: Problems) -> Iterator[tuple[Entry, Reader]]:
        for entry in self.entries:
            yield entry, entry if isinstance(entry, Inline) else entry.open(self.terms, problems)

    def rows(self, problems: Problems) -> Iterator[Row]:
        for _, reader in self.readers(problems):
            yield from reader.rows()

    def sources(self) -> list[Source]:
        """The files that prompts are read from; they know their hashes once they have been read."""
        return [entry.source for entry in self.entries if isinstance(entry, FromFile)]
