"""The one reading of a manifest: every row is checked, counted and made into jobs as it goes by.

The way of a row, by the methods of ``Walk``: ``_entries`` takes rows from a reader, ``_row`` fills in vars and variants
and has each rendering checked (``row_check.py``), ``_prompt`` adds the combinations of the sweep and computes the keys,
and ``_numbered`` gives copy numbers and paths and makes the jobs.

A matrix is checked by its axes, once, and a row by its own values, so the product of the two is walked only to make
the jobs. Copy numbers are asked for in groups, because they may be counted in a database.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from batcher.core.errors import ManifestError
from batcher.core.job import Job, canonical_json, images_asked, key_of_json
from batcher.core.naming import TemplateError
from batcher.core.suggest import printable, quoted
from batcher.manifest.paths import Facts, prompt_name
from batcher.manifest.plan import Group, Plan
from batcher.manifest.problems import Problems
from batcher.manifest.readers.json.records import Records
from batcher.manifest.readers.rows import Carried, Row, with_line_ends_alike
from batcher.manifest.row_check import RowCheck
from batcher.manifest.schema import media_files
from batcher.manifest.sweep.counts import AxisCounts
from batcher.manifest.templates import variables
from batcher.manifest.templates.dynamic import VARIANT
from batcher.manifest.totals import Repeated, Share, SharedIds
from batcher.manifest.yaml.entries import Entry, FromFile

MOST_JOBS = 10_000_000  # of one run: more are a mistake in a matrix far more often than a wish
_PROGRESS_EVERY = 10_000
_BEYOND = 20_000  # rows of files, behind a limit: less than a second of reading
MOST_NAMES = 10_000  # of vars and meta that fields of a path may mean
_AHEAD = 64  # rows of which the files are read before their turn
_AT_ONCE = 500  # jobs whose copy numbers are asked for together

Copies = Callable[[Sequence[str]], Sequence[int]]


def copies_in_memory() -> Copies:
    """Numbers the occurrences of each key (1, 2, ...) in a dictionary: about 100 bytes a job."""
    seen: dict[bytes, int] = {}

    def number(key: str) -> int:
        digest = bytes.fromhex(key)
        seen[digest] = copy = seen.get(digest, 0) + 1
        return copy

    return lambda keys: [number(key) for key in keys]


# A job that waits for its copy number: facts of its prompt, its inputs as sent, the inputs as shown in names, the
# inputs as canonical JSON, and its key as a first copy. A tuple, as it is made by the million.
_Unnumbered = tuple[Facts, dict[str, Any], dict[str, Any], str, str]


class Walk:
    """Reads a plan once. After the first problem no more jobs are made, and the rest is read for its problems.

    plan: what is read; problems go to ``plan.problems``. limit: the most jobs to make, None for all.
    copies: the number of the occurrence that each key is, for keys as first copies, in order.
    progress: called now and then with the number of rows read so far.

    When ``jobs`` is exhausted: ``shares`` has the numbers of each group, and ``sound`` whether nothing was wrong with
    its prompts. ``prompts`` and ``texts`` (with variants and vars filled in) are of all groups. ``planned`` jobs are
    within the limit, ``whole`` ones without it, as far as they were counted; ``counted_all``: whether that is all of
    them. ``names``: by path template, the names of vars and meta that its fields may mean. ``repeated``: requests asked
    for more than once. ``shared_ids``: ids that different prompts have.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        limit: int | None = None,
        copies: Copies | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._plan = plan
        self._problems = plan.problems
        self._limit = None if limit is None or limit > MOST_JOBS else limit
        self._copies = copies or copies_in_memory()
        self._progress = progress
        self._check = RowCheck(plan)
        self._waiting: list[_Unnumbered] = []
        self._rows = self._texts = self._index = 0  # rows read, texts made of them, jobs given out
        self._refused = self._limit is None and plan.makes_more_jobs_than(MOST_JOBS)
        self._beyond = 0  # rows of files that were read though the limit needs none of them
        self._cut = False  # whether the reading of the file at hand ended before its end
        self.shares: list[Share] = []
        self.sound: list[bool] = []
        self.prompts = self.texts = self.whole = self.planned = 0
        self.counted_all = True
        self.names: dict[str, set[str]] = {}
        self.repeated = Repeated()
        self.shared_ids = SharedIds()

    @property
    def too_many(self) -> bool:
        """Whether the manifest asks for more jobs than batcher makes; ``whole`` says how many."""
        return self._refused or (self._limit is None and self.whole > MOST_JOBS)

    @property
    def _is_full(self) -> bool:
        return self._limit is not None and self.planned >= self._limit

    def jobs(self) -> Iterator[Job]:
        """The jobs in manifest order."""
        shared = shared_texts = 0
        for group in self._plan.groups:
            self._turn_to(group)
            rows, made, whole, planned = self._rows, self._texts, self.whole, self.planned
            problems = self._problems.added
            yield from self._entries(group)
            yield from self._numbered()
            prompts, texts = self._rows - rows, self._texts - made
            jobs, jobs_in_all, axes = self.planned - planned, self.whole - whole, self._axes.result()
            self.shares.append(Share(group.name, prompts, texts, jobs, jobs_in_all, axes))
            self.sound.append(group.whole_entries and self._problems.added == problems)
            if group.document.shares_prompts:
                shared, shared_texts = prompts, max(texts, shared_texts)  # the same ones each time
            else:
                self.prompts, self.texts = self.prompts + prompts, self.texts + texts
        self.prompts, self.texts = self.prompts + shared, self.texts + shared_texts
        if self._progress:
            self._progress(self._rows)

    def _turn_to(self, group: Group) -> None:
        self._group, self._sweep = group, group.sweep
        self.shared_ids.next_group()
        self._check.turn_to(group)
        self._axes = AxisCounts(group.sweep)
        template = group.template
        self._names = self.names.setdefault(template.text if template else "", set())
        self._wants_meta = template is not None and any(name.startswith("meta.") for name in template.fields)

    def _entries(self, group: Group) -> Iterator[Job]:
        for entry in group.entries:
            carried = entry.carried if isinstance(entry, FromFile) else Carried()
            unused = set(carried.vars)
            self._names.update(unused)
            if isinstance(entry, FromFile) and entry.templates is not None:
                self._names.add(VARIANT)
            try:
                for row in self._counted(entry):
                    unused -= yield from self._row(row)
            except ManifestError as error:
                self._problems.take(error)
                continue
            for name in () if self._cut else sorted(unused):
                place = carried.places[f"vars.{name}"]
                what = f"no prompt of this file uses the var {quoted(name)}"
                self._problems.add(*place, what, f"write {{{printable(name)}}} in its prompts, or remove the var")

    def _counted(self, entry: Entry) -> Iterator[Row]:
        """The rows of an entry. Beyond the limit a file is read only so far that most are counted and checked to their
        end.
        """
        is_file, model_inputs, self._cut = isinstance(entry, FromFile), self._plan.model_inputs, False
        takes_files = model_inputs.schema is not None and model_inputs.may_take_files
        for row in self._scouted(entry) if takes_files else self._plan.rows(entry, self._problems):
            if is_file and self._is_full:
                self._beyond += 1
                if self._beyond > _BEYOND:
                    self._cut, self.counted_all = True, False
                    return
            self._rows += 1
            if self._progress and self._rows % _PROGRESS_EVERY == 0:
                self._progress(self._rows)
            yield row

    def _scouted(self, entry: Entry) -> Iterator[Row]:
        """The rows of an entry, while the media files that the next rows name are being read.

        Another reader of the same prompts looks ahead, because a row knows its place only while it is at hand.
        """
        model_inputs, scout, ahead = self._plan.model_inputs, self._plan.rows(entry, Problems()), 0
        most = MOST_JOBS if self._limit is None else self._limit - self.planned
        for at, row in enumerate(self._plan.rows(entry, self._problems)):
            if self._is_full:
                model_inputs.files.stop_reading()
            with suppress(ManifestError):  # it comes again when it is that row's turn
                for coming in islice(scout, max(0, min(at + _AHEAD, most) - ahead)):
                    model_inputs.ahead(coming.inputs)
                    ahead += 1
            yield row

    def _row(self, row: Row) -> Generator[Job, None, frozenset[str]]:
        """Makes the jobs of a row; returns the vars that it uses. Each rendering of a row is a prompt of its own."""
        self._prepare(row)
        used: frozenset[str] = frozenset()
        if not row.is_plain:
            self._names.update(row.vars, () if row.variants is None else (VARIANT,))
            used = frozenset(variables.used(row))
            if not self._check.vars(row, used):
                return used
        made = 0
        for rendering in variables.renderings(row):
            if not self._check.inputs(row, rendering.inputs):
                break
            made += 1
            if row.variants is None:
                self._check.braces(row, rendering.inputs.get("prompt"))
            yield from self._prompt(row, rendering)
            if self.too_many:  # the size is refused: the rest of the row is counted only
                rest = variables.bound(row) - made
                self.whole += rest * self._sweep.count(self._sweep.pins(rendering.inputs))
                break
        self._texts += -(-made // variables.copies(row))
        return used

    def _prepare(self, row: Row) -> None:
        """Gives a row's texts one form, and keeps its id and names for the checks at the end."""
        for name, value in row.inputs.items():
            if type(value) is str and "\r" in value:
                row.inputs[name] = with_line_ends_alike(value)
        if row.id is not None and not isinstance(row.reader, Records):  # records of one prompt share its id
            self.shared_ids.add(row.id, row.inputs.get("prompt"), row.source, row.line)
        if "prompt" in row.inputs and self._plan.model_inputs.of("prompt").takes:
            row.inputs["prompt"] = media_files.as_text(row.inputs["prompt"])
        if self._wants_meta and len(self._names) < MOST_NAMES:
            self._names.update(f"meta.{name}" for name in row.meta)

    def _prompt(self, row: Row, rendering: variables.Rendering) -> Iterator[Job]:
        sweep, own, model_inputs = self._sweep, rendering.inputs, self._plan.model_inputs
        pins = sweep.pins(own) if sweep.keys else {}
        many = sweep.count(pins)
        wanted = many if self._limit is None else min(many, self._limit - self.planned)
        self.whole += many
        self.planned += wanted
        if sweep.axes:
            self._axes.add(pins, wanted, whole=wanted == many)
        if self._problems.total or self.too_many:
            self._waiting.clear()
            self._check.path(row, rendering)
            return
        if not wanted:
            return
        group = self._group.name
        meta = row.meta if group is None or "group" in row.meta else {**row.meta, "group": group}
        swept = sweep.keys if rendering.number is None else (*sweep.keys, "seed")
        name = row.id or prompt_name(model_inputs.shown(own))
        facts = Facts(row, name, swept, rendering.texts, meta, rendering.chosen)
        model, base, request = self._plan.model, sweep.base, model_inputs.request
        for combination in islice(sweep.combinations(pins), wanted):
            sent, shown, files = request({**base, **combination, **own})
            its_facts = replace(facts, meta={**files, **meta}) if files else facts
            text = canonical_json(sent)
            self._waiting.append((its_facts, sent, shown, text, key_of_json(model, text)))
            if len(self._waiting) >= _AT_ONCE:
                yield from self._numbered()

    def _numbered(self) -> Iterator[Job]:
        """The jobs that wait for their copy numbers."""
        waiting, self._waiting = self._waiting, []
        if not waiting or self._problems.total:
            return
        model, default_images = self._plan.model, self._plan.model_inputs.default_images
        path_of = self._group.paths.path
        copies = self._copies([key for *_, key in waiting])
        for (facts, inputs, shown, text, key), copy in zip(waiting, copies, strict=True):
            row = facts.row
            if copy > 1:
                self.repeated.add(copy, row.source, row.line)
                key = key_of_json(model, text, copy)  # noqa: PLW2901
            try:
                path = path_of(facts, shown, self._index, copy, key)
            except TemplateError as error:
                self._check.bad_path(row, error)
                return
            self._index += 1
            yield Job(
                key=key,
                model=model,
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
