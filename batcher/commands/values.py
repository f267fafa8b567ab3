"""What a shell may complete as the value of a flag."""

import click
from click.shell_completion import CompletionItem

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


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001  click's
    """Model ids: those of the runs here, and the default."""
    return [model for model in _models() if model.startswith(incomplete)]


def complete_input(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """``NAME=`` for the inputs of the model that is given so far, and ``NAME=VALUE`` where the schema has choices."""
    from batcher.manifest.schema.bundled import DEFAULT_MODEL, bundled  # noqa: PLC0415  start-up time

    schema = bundled(ctx.params.get("model") or DEFAULT_MODEL)
    if schema is None:
        return []
    name, equals, _ = incomplete.partition("=")
    if equals:
        offered = [f"{name}={value}" for value in schema.allowed(name) or ()]
    else:
        offered = [f"{one}=" for one in schema.inputs]
    return [CompletionItem(word) for word in offered if word.startswith(incomplete)]


def _models() -> list[str]:
    from contextlib import closing  # noqa: PLC0415  start-up time

    from batcher.commands.run_argument import runs_here  # noqa: PLC0415
    from batcher.core.errors import BatcherError  # noqa: PLC0415
    from batcher.manifest.schema.bundled import DEFAULT_MODEL  # noqa: PLC0415
    from batcher.store import connect_to_read, read_facts  # noqa: PLC0415

    models = {DEFAULT_MODEL}
    for path in runs_here()[:20]:
        try:
            with closing(connect_to_read(path)) as connection:
                models.add(read_facts(connection).model or DEFAULT_MODEL)
        except BatcherError:
            continue
    return sorted(models)
