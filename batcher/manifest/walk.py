"""The one reading of a manifest: every row is checked, counted and made into jobs as it goes by.

A matrix is checked by its axes, once, and a row by its own values, so the product of the two is walked only to make
the jobs. Copy numbers are asked for in groups, because whoever counts them may do so in a database.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from batcher.core.errors import ManifestError
from batcher.core.job import Job, canonical_json, images_asked, key_of_json
from batcher.core.naming import TemplateError
from batcher.manifest.paths import Facts, prompt_name
from batcher.manifest.plan import Group, Plan
from batcher.manifest.problems import Problems
from batcher.manifest.readers.columns import word
from batcher.manifest.readers.json.records import Records
from batcher.manifest.readers.rows import Carried, Row, with_line_ends_alike
from batcher.manifest.row_check import RowCheck
from batcher.manifest.schema import media_files
from batcher.manifest.sweep.counts import AxisCounts
from batcher.manifest.templates import variables
from batcher.manifest.templates.dynamic import VARIANT
from batcher.manifest.totals import Repeated, Share, SharedIds
from batcher.manifest.yaml.entries import Entry, FromFile, Inline

MOST_JOBS = 10_000_000  # of one run: more are a mistake in a matrix far more often than a wish
_MOST_RENDERINGS = 1_000_000
_PROGRESS_EVERY = 10_000
_BEYOND = 20_000  # rows of files, behind a limit: less than a second of reading
MOST_NAMES = 10_000  # of vars and meta that fields of a path may mean
_AHEAD = 64  # rows of which the files are read before their turn
_AT_ONCE = 500  # jobs whose copy numbers are asked for together

Copies = Callable[[Sequence[str]], Sequence[int]]


class CopiesInMemory:
    """Numbers the occurrences of each key (1, 2, ...) in a dictionary: 100 bytes or so a job."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def __call__(self, keys: Sequence[str]) -> Sequence[int]:
        numbers = []
        for key in keys:
            mark = bytes.fromhex(key)
            number = self._seen[mark] = self._seen.get(mark, 0) + 1
            numbers.append(number)
        return numbers


# A job that waits for its copy number: facts of its prompt, its inputs as sent, these as names of pictures have them,
# as canonical JSON, and its key as a first copy. A tuple, as it is made by the million.
_Unnumbered = tuple[Facts, dict[str, Any], dict[str, Any], str, str]


def _end_lines_alike(row: Row) -> None:
    inputs = row.inputs
    for name in inputs:
        if type(value := inputs[name]) is str and "\r" in value:
            inputs[name] = with_line_ends_alike(value)


def _shown(inputs: dict[str, Any], media: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with the names of files as they were written."""
    if media.keys().isdisjoint(inputs):
        return inputs
    return {name: media_files.shown(value) if name in media else value for name, value in inputs.items()}


class Walk:
    """Reads a plan once. What is wrong goes to ``problems``; after the first problem no more jobs are made.

    shares: of each group, when ``jobs`` is exhausted. prompts, texts: of all files; texts with variants and vars filled
    in. whole: jobs without a limit, as far as they were counted. counted_all: whether that is all of them. made: jobs
    given out. sound: of each group, whether nothing was wrong with its prompts. names: of all vars met, by the template
    of the groups they were met in. repeated: requests that were asked for more than once.
    shared_ids: ids that different prompts have.
    """

    def __init__(
        self,
        plan: Plan,
        problems: Problems,
        *,
        limit: int | None = None,
        copies: Copies | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._plan = plan
        self._problems = problems
        self._most = MOST_JOBS if limit is None else min(limit, MOST_JOBS)
        self._limited = limit is not None and limit <= MOST_JOBS
        self._copies = copies or CopiesInMemory()
        self._progress = progress
        self._check = RowCheck(plan, problems)
        self._waiting: list[_Unnumbered] = []
        self._looked = self._made = 0
        self._refused = False
        self._has_files = plan.model_inputs.may_take_files  # among the inputs
        self._beyond = 0  # rows of files that were read though the limit needs none of them
        self._cut = False  # whether the reading of the file at hand ended before its end
        self.shares: list[Share] = []
        self.sound: list[bool] = []
        self.prompts = self.texts = self.whole = self.planned = self.made = 0
        self.counted_all = True
        self.names: dict[str, set[str]] = {}
        self.repeated = Repeated()
        self.shared_ids = SharedIds()

    @property
    def too_many(self) -> bool:
        """Whether it asks for more jobs than batcher makes; ``whole`` says how many."""
        return not self._limited and (self._refused or self.whole > self._most)

    def jobs(self) -> Iterator[Job]:
        """The jobs in manifest order."""
        shared = shared_texts = 0
        self._refused = sum(group.least_jobs() for group in self._plan.groups) > self._most  # before a row is read
        for group in self._plan.groups:
            self._turn_to(group)
            looked, made, whole, planned = self._looked, self._made, self.whole, self.planned
            problems = self._problems.added
            yield from self._entries(group)
            yield from self._numbered()
            prompts, texts = self._looked - looked, self._made - made
            self.shares.append(
                Share(group.name, prompts, texts, self.planned - planned, self.whole - whole, self._axes.result())
            )
            self.sound.append(group.whole_entries and self._problems.added == problems)
            if group.document.shares_prompts:
                shared, shared_texts = prompts, max(texts, shared_texts)  # the same ones each time
            else:
                self.prompts, self.texts = self.prompts + prompts, self.texts + texts
        self.prompts, self.texts = self.prompts + shared, self.texts + shared_texts
        if self._progress:
            self._progress(self._looked)

    def _turn_to(self, group: Group) -> None:
        self._group, self._sweep = group, group.sweep
        self.shared_ids.next_group()
        self._group_meta = {"group": group.name} if group.name is not None else {}
        self._check.turn_to(group)
        self._axes = AxisCounts(group.sweep)
        self._names = self.names.setdefault(group.template.text if group.template else "", set())
        self._wants_meta = group.template is not None and any(
            name.startswith("meta.") for name in group.template.fields
        )

    @property
    def _is_full(self) -> bool:
        return self._limited and self.planned >= self._most

    def _entries(self, group: Group) -> Iterator[Job]:
        for entry in group.entries:
            carried = entry.carried if isinstance(entry, FromFile) else Carried()
            unused = set(carried.vars)
            self._names.update(unused)
            if isinstance(entry, FromFile) and entry.templates is not None:
                self._names.add(VARIANT)
            try:
                rows = self._plan.rows(entry, self._problems)
                if self._plan.model_inputs.schema and self._plan.model_inputs.may_take_files:
                    rows = self._scouted(rows, entry)
                for row in self._counted(rows, is_file=isinstance(entry, FromFile)):
                    unused -= yield from self._row(row)
            except ManifestError as error:
                self._problems.take(error)
                continue
            if self._cut:
                continue
            for name in sorted(unused):
                place = carried.places[f"vars.{name}"]
                what = f"no prompt of this file uses the var `{word(name)}`"
                self._problems.add(*place, what, f"write {{{word(name)}}} in its prompts, or remove the var")

    def _counted(self, rows: Iterator[Row], *, is_file: bool) -> Iterator[Row]:
        """The rows. Beyond the limit a file is read only so far that most are counted and checked to their end."""
        self._cut = False
        for row in rows:
            if self._limited and is_file and self._is_full:
                self._beyond += 1
                if self._beyond > _BEYOND:
                    self._cut, self.counted_all = True, False
                    return
            self._looked += 1
            if self._progress and self._looked % _PROGRESS_EVERY == 0:
                self._progress(self._looked)
            yield row

    def _scouted(self, rows: Iterator[Row], entry: Entry) -> Iterator[Row]:
        """The same rows; the files that some of the next ones name are being read meanwhile.

        They are found by another reader of the same prompts: the place of a value is known of the row at hand only.
        """
        scout = self._plan.rows(entry, Problems())
        ahead, most = 0, self._most - self.planned if self._limited else MOST_JOBS
        for at, row in enumerate(rows):
            if self._is_full:
                self._plan.model_inputs.files.stop_reading()
            with suppress(ManifestError):  # which is said when it is that row's turn
                for coming in islice(scout, max(0, min(at + _AHEAD, most) - ahead)):
                    self._plan.model_inputs.ahead(coming.inputs)
                    ahead += 1
            yield row

    def _row(self, row: Row) -> Generator[Job, None, frozenset[str]]:
        """Its jobs; returns the vars that it uses. Each rendering of a row is a prompt of its own."""
        used: frozenset[str] = frozenset()
        _end_lines_alike(row)
        self._note_id(row)
        if self._has_files and "prompt" in row.inputs and self._plan.model_inputs.takes_files("prompt"):
            row.inputs["prompt"] = media_files.as_text(row.inputs["prompt"])
        if self._wants_meta and len(self._names) < MOST_NAMES:
            self._names.update(f"meta.{name}" for name in row.meta)
        is_plain = row.is_plain
        if not is_plain:
            used = frozenset(variables.used(row))
            self._names.update(row.vars)
            if isinstance(row.reader, Inline):  # its own vars; those of a file are for all of its rows
                self._check.unused(row, used)
            if row.variants is not None:
                self._names.add(VARIANT)
            if variables.bound(row) > _MOST_RENDERINGS:
                what = f"its variants, vars and copies make more than {_MOST_RENDERINGS:,} prompts from one"
                self._problems.add(*row.place("vars"), what, "use fewer values or copies, or a prompt file")
                return used
        made = 0
        for rendering in (variables.as_it_stands(row),) if is_plain else variables.renderings(row):
            if not self._check.inputs(row, rendering.inputs):
                break
            made += 1
            if row.variants is None:
                self._check.braces(row, rendering.inputs.get("prompt"))
            yield from self._prompt(row, rendering)
        self._made += made if is_plain else -(-made // variables.copies(row))
        return used

    def _note_id(self, row: Row) -> None:
        """Records have one id for all the texts that vars made of a prompt."""
        if row.id is not None and not isinstance(row.reader, Records):
            self.shared_ids.add(row.id, row.inputs.get("prompt"), row.source, row.line)

    def _prompt(self, row: Row, rendering: variables.Rendering) -> Iterator[Job]:
        sweep, own = self._sweep, rendering.inputs
        pins = sweep.pins(own) if sweep.keys else {}
        many = sweep.count(pins)
        self.whole += many
        wanted = max(0, min(many, self._most - self.planned)) if self._limited else many
        self.planned += wanted
        if sweep.axes:
            self._axes.add(pins, wanted, whole=wanted == many)
        if self._problems.total or self.too_many:
            self._waiting.clear()
            self._check.path(row, rendering)
            return
        if not wanted:
            return
        model, model_inputs, meta = self._plan.model, self._plan.model_inputs, row.meta
        if self._group_meta and "group" not in meta:
            meta = {**meta, **self._group_meta}
        name = row.id or prompt_name(_shown(own, model_inputs.media_among(own)) if self._has_files else own)
        swept = sweep.keys if rendering.number is None else (*sweep.keys, "seed")
        facts = Facts(row, name, model, swept, rendering.texts, meta, own.get("prompt"), rendering.chosen)
        for combination in sweep.combinations(pins):
            inputs = {**sweep.base, **combination, **own}
            sent = named = model_inputs.sent(inputs)
            if self._has_files and (media := model_inputs.media_among(inputs)):
                shown = _shown(inputs, media)
                sent, named = model_inputs.sent(model_inputs.with_contents(inputs, media)), model_inputs.sent(shown)
                files = {**model_inputs.names_of_files(inputs, media), **meta}
                facts = Facts(row, name, model, swept, rendering.texts, files, shown.get("prompt"), rendering.chosen)
            text = canonical_json(sent)
            self._waiting.append((facts, sent, named, text, key_of_json(model, text)))
            if len(self._waiting) >= _AT_ONCE:
                yield from self._numbered()
            wanted -= 1
            if not wanted:
                return

    def _numbered(self) -> Iterator[Job]:
        waiting, self._waiting = self._waiting, []
        if not waiting or self._problems.total:
            return
        default_images, path_of = self._plan.model_inputs.default_images, self._group.paths.path
        copies = self._copies([key for *_, key in waiting])
        for (facts, inputs, named, text, key), copy in zip(waiting, copies, strict=True):
            row = facts.row
            if copy > 1:
                self.repeated.add(copy, row.source, row.line)
                key = key_of_json(facts.model, text, copy)  # noqa: PLW2901
            try:
                path = path_of(facts, named, self.made, copy, key)
            except TemplateError as error:
                self._check.bad_path(row, error)
                return
            self.made += 1
            yield Job(
                key=key,
                model=facts.model,
                inputs=inputs,
                copy=copy,
                prompt_id=facts.prompt_id,
                meta=facts.meta,
                source=row.source,
                line=row.line,
                path=path,
                chosen=facts.chosen,
                images=images_asked(inputs, default_images),
                inputs_json=text,
            )
