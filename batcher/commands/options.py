"""The flags that ``run`` and ``plan`` share, and how they become ``service.Options``."""

import shlex
from collections.abc import Callable
from typing import Any, TypeVar

import click

from batcher.commands.run_argument import complete_runs
from batcher.commands.values import complete_choice, complete_file, complete_input, complete_model

F = TypeVar("F", bound=Callable[..., Any])

_RUN_OPTIONS: list[tuple[str, str, str]] = [
    ("--rate", "R", "Submit rate: 5/s, 300/min, 1000/h.  [default: 2/s]"),
    ("--in-flight", "N", "Maximum jobs at the service at once.  [default: 32]"),
    ("--downloads", "N", "Maximum downloads at once.  [default: 16]"),
    ("--api-rate", "R", "Maximum rate of API calls of any kind.  [default: none]"),
    (
        "--check",
        "DEPTH",
        "How thoroughly each image is checked: decode (all of it), structure, none.  [default: decode]",
    ),
    ("--budget", "USD", "Never commit more than this in total, including earlier runs of this directory."),
    ("--price", "USD", "Price of one image, when the catalogue has none or a lower one."),
    (
        "--in-doubt",
        "WHAT",
        "Submits of unknown outcome when a run resumes: hold, or resubmit (may pay twice).  [default: hold]",
    ),
    ("--deadline", "WHEN", "Start nothing new after this: 8h from now, or 07:00."),
    ("--attempts", "N", "Maximum paid tries of a job that fails at the service.  [default: 2]"),
    ("--max-failures", "N", "Start nothing new once this many jobs have failed."),
    ("--fuse", "N", "Stop when this many submits in a row fail for one cause; none for never.  [default: 20]"),
    ("--fuse-share", "SHARE", "Or when this share of the last 100 do; none for never.  [default: 90%]"),
    (
        "--embed",
        "WHAT",
        "Embed in each image what made it: infotext, xmp, iptc, separated by commas.  [default: none]",
    ),
    (
        "--no-schema-check",
        "NAME",
        "Send this input without a check against the model's schema; several with commas.",
    ),
    (
        "--check-inputs",
        "WHICH",
        "Look at the URLs of file inputs before the first submit: auto, all, none.  [default: auto]",
    ),
    (
        "--engine",
        "WHICH",
        "Who fetches the images: local (this process), or ray (workers on a cluster).  [default: local]",
    ),
    ("--workers", "N", "With --engine ray: how many workers.  [default: one for each free CPU, at most 16]"),
    ("--timeout", "TIME", "Give up on a job that is unfinished for this long; its id is kept.  [default: 30m]"),
]

# The sections of `--help`, and the flags in each by the names of their values. Other flags are under Other.
SECTIONS = {
    "What to make": (
        "model", "prompt_input", "set_", "matrix", "repeat", "dynamic", "limit", "format_", "prompt_column", "meta",
    ),
    "Where it goes": ("out", "path", "embed", "images", "media"),
    "Money": ("budget", "price", "attempts", "in_doubt", "continue_copy"),
    "Speed": ("rate", "in_flight", "downloads", "api_rate", "engine", "workers", "shard"),
    "When to stop": ("deadline", "max_failures", "fuse", "fuse_share", "timeout", "cancel_on_interrupt"),
    "The service": ("simulate", "base_url", "trust_host", "token_file", "no_schema_check", "check_inputs"),
    "What is shown": ("progress", "json", "as_json", "view", "log", "metrics", "on_end"),
}  # fmt: skip


def progress_option(default: str | None = None) -> Callable[[F], F]:
    """``--progress``. default: None is what the manifest says, else auto."""
    return click.option(
        "--progress",
        metavar="KIND",
        type=click.Choice(["auto", "bar", "lines", "json", "none"], case_sensitive=False),
        default=default,
        help="On standard error: auto (a bar on a terminal, else lines), bar, lines, json, none.  [default: auto]",
    )


def _all(*options: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator for several options, which `--help` shows in this order."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


# Their texts are parsed by ``settings``, not by click.
run_options = _all(
    *(
        click.option(flag, metavar=metavar, help=text, shell_complete=complete_choice)
        for flag, metavar, text in _RUN_OPTIONS
    )
)

manifest_options = _all(
    click.option(
        "-o",
        "--out",
        metavar="DIR",
        shell_complete=complete_runs,
        help="Run directory.  [default: runs/<manifest stem>]",
    ),
    click.option(
        "--model",
        metavar="ID",
        shell_complete=complete_model,
        help="Model id.  [default: the manifest's, else Imagen 4 Fast]",
    ),
    click.option(
        "--set",
        "set_",
        metavar="KEY=VALUE",
        multiple=True,
        shell_complete=complete_input,
        help="Input for every job that does not set it; repeatable.",
    ),
    click.option(
        "--matrix",
        metavar="KEY=SPEC",
        multiple=True,
        shell_complete=complete_input,
        help="Sweep axis: seed=1..20, seed=random:20:7, aspect_ratio=16:9,1:1; repeatable.",
    ),
    click.option(
        "--repeat",
        metavar="N",
        help="Each prompt N times, with a seed drawn for each; a prompt's own `repeat` wins.",
    ),
    click.option("--dynamic", is_flag=True, help="Prompts are templates: {a|b}, and __name__ from wildcards/."),
    click.option(
        "--images",
        metavar="URL",
        help="Put the images into this bucket: s3://, gs://, az:// or file://.  [default: the run directory]",
    ),
    click.option(
        "--media",
        metavar="URL",
        help="Upload inputs that are files on this machine to this place: s3://, gs:// or az://.",
    ),
    click.option(
        "--shard",
        metavar="I/N",
        help="Only the I-th of N parts of the manifest, by job key; each in a run directory of its own.",
    ),
    click.option("--limit", metavar="N", help="Only the first N jobs; run again without it for the rest."),
    click.option(
        "--format",
        "format_",
        metavar="FMT",
        shell_complete=complete_choice,
        help="How to read a prompt file.  [default: by extension]",
    ),
    click.option("--prompt-column", metavar="NAME", help="The column that has the prompts.  [default: prompt]"),
    click.option(
        "--prompt-input",
        metavar="NAME",
        help="The model's input that prompts go to.  [default: prompt, else its one required text]",
    ),
    click.option("--meta", metavar="COLUMN", multiple=True, help="Keep this column as metadata, whatever its name."),
    click.option("--path", metavar="TEMPLATE", help="Where images go: {index:05d}_{prompt_id} ..."),
)

service_options = _all(
    click.option("--simulate", is_flag=True, help="Use the embedded simulator: no account, no cost."),
    click.option("--base-url", metavar="URL", help="API root including /v1.  [env: RUNCOMFY_MODEL_API_BASE]"),
    click.option(
        "--trust-host",
        metavar="HOST",
        multiple=True,
        help="Also download from this host, over http too; repeatable.  [default: RunComfy's, https only]",
    ),
    click.option(
        "--token-file", metavar="FILE", shell_complete=complete_file, help="Read the API token from this file."
    ),
)


def collect(given: dict[str, Any]) -> Any:
    """``service.Options`` from what click collected. Raises UsageError."""
    from batcher.api.options import NAMES, options_of

    spelled = {**given, "set": given.get("set_"), "format": given.get("format_")}
    texts = {name: list(text) if isinstance(text, tuple) else text for name, text in spelled.items() if text}
    typed = shlex.join(["batcher", *(click.get_current_context().obj or ())])
    names = {name: texts[name] for name in NAMES if name in texts}
    return options_of(given["manifest"], given.get("out"), names, typed=typed)


def collect_service(given: dict[str, Any]) -> Any:
    """``service.Options`` of a command that has no manifest, only a service to talk to."""
    from batcher.manifest import Overrides
    from batcher.runner.service import Options

    return Options(
        manifest="",
        overrides=Overrides(),
        token_file=given["token_file"],
        base_url=given["base_url"],
        trust_hosts=tuple(given["trust_host"]),
        simulate=given["simulate"],
    )
