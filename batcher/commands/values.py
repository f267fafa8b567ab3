"""Values of flags for shell completion."""

from contextlib import closing
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from batcher.core.errors import BatcherError

if TYPE_CHECKING:  # start-up time
    from batcher.client.model_list import Catalogue

# By flag, for flags whose text is parsed by the settings and not by click.
_CHOICES = {
    "--check": ("decode", "structure", "none"),
    "--in-doubt": ("hold", "resubmit"),
    "--embed": ("infotext", "xmp", "iptc", "infotext,xmp", "none"),
    "--format": (
        "yaml", "csv", "tsv", "tsv-quoted", "jsonl", "json", "records", "parquet", "txt", "a1111", "kohya", "folder",
    ),
    "--layout": ("geneval", "t2i-compbench", "dpg-bench", "hpsv2"),
    "--split-by": ("job", "prompt", "meta."),
    "--per": ("prompt", "model", "none"),
    "--rows": ("seed", "aspect_ratio", "prompt", "model"),
    "--cols": ("seed", "aspect_ratio", "prompt", "model"),
}  # fmt: skip


def complete_choice(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001  click's
    """The choices of a flag, from the table above."""
    words = next((_CHOICES[flag] for flag in param.opts if flag in _CHOICES), ())
    return [word for word in words if word.startswith(incomplete)]


def complete_file(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Any file; the shell lists them."""
    return [CompletionItem(incomplete, type="file")]


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Model ids of the kept catalogue, of the runs here, and the default."""
    return [model for model in _models(ctx) if model.startswith(incomplete)]


def complete_model_word(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What may follow ``batcher models``."""
    first = [] if ctx.params.get("words") else ["show"]
    return [*(word for word in first if word.startswith(incomplete)), *complete_model(ctx, param, incomplete)]


def complete_input(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """``NAME=`` for the inputs of the model that is given so far, and ``NAME=VALUE`` where the schema has choices."""
    from batcher.manifest.schema.bundled import DEFAULT_MODEL, bundled

    model = ctx.params.get("model") or DEFAULT_MODEL
    listed = _kept(ctx)
    entry = None if listed is None else listed.get(model)
    schema = bundled(model) or (None if entry is None else entry.schema)
    if schema is None:
        return []
    name, equals, _ = incomplete.partition("=")
    if equals:
        offered = [f"{name}={value}" for value in schema.input(name).allowed or ()]
    else:
        offered = [f"{one}=" for one in schema.inputs]
    return [CompletionItem(word) for word in offered if word.startswith(incomplete)]


def _kept(ctx: click.Context) -> "Catalogue | None":
    """The catalogue as it was last read; no call to the service."""
    from batcher.client.model_list import kept
    from batcher.client.token import base_url

    try:
        return kept(base_url(ctx.params.get("base_url")))
    except BatcherError:
        return None


def _models(ctx: click.Context) -> list[str]:
    from batcher.commands.run_argument import runs_here
    from batcher.manifest.schema.bundled import DEFAULT_MODEL
    from batcher.store import connect_to_read, read_facts

    listed = _kept(ctx)
    models = {DEFAULT_MODEL} if listed is None else {DEFAULT_MODEL, *(model.model_id for model in listed.models)}
    for path in runs_here()[:20]:
        try:
            with closing(connect_to_read(path)) as connection:
                models.add(read_facts(connection).model or DEFAULT_MODEL)
        except BatcherError:
            continue
    return sorted(models)
