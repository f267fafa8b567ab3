"""The flags that ``run`` and ``plan`` share, and how they become ``service.Options``."""

import shlex
from collections.abc import Callable
from typing import Any, TypeVar

import click

from batcher.commands.run_argument import complete_runs
from batcher.commands.values import complete_choice, complete_file, complete_input, complete_model

F = TypeVar("F", bound=Callable[..., Any])
Completion = Callable[[click.Context, click.Parameter, str], list[Any]]

# The sections of `--help`, and the flags in each by the names of their values. Other flags are under Other.
SECTIONS = {
    "What to make": (
        "model", "prompt_input", "set_", "matrix", "repeat", "dynamic", "limit", "format_", "prompt_column", "meta"
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


def flag(
    names: str, metavar: str, words: str, complete: Completion = complete_choice, *, multiple: bool = False
) -> Callable[[F], F]:
    """A flag with a text, which is parsed by the settings or by the command, not by click. names: with blanks."""
    return click.option(*names.split(), metavar=metavar, help=words, shell_complete=complete, multiple=multiple)


run_options = _all(
    flag("--rate", "R", "Submit rate: 5/s, 300/min, 1000/h.  [default: 2/s]"),
    flag("--in-flight", "N", "Maximum jobs at the service at once.  [default: 32]"),
    flag("--downloads", "N", "Maximum downloads at once.  [default: 16]"),
    flag("--api-rate", "R", "Maximum rate of API calls of any kind.  [default: none]"),
    flag(
        "--check",
        "DEPTH",
        "How thoroughly each image is checked: decode (all of it), structure, none.  [default: decode]",
    ),
    flag("--budget", "USD", "Never commit more than this in total, including earlier runs of this directory."),
    flag("--price", "USD", "Price of one image, when the catalogue has none or a lower one."),
    flag(
        "--in-doubt",
        "WHAT",
        "Submits of unknown outcome when a run resumes: hold, or resubmit (may pay twice).  [default: hold]",
    ),
    flag("--deadline", "WHEN", "Start nothing new after this: 8h from now, or 07:00."),
    flag("--attempts", "N", "Maximum paid tries of a job that fails at the service.  [default: 2]"),
    flag("--max-failures", "N", "Start nothing new once this many jobs have failed."),
    flag("--fuse", "N", "Stop when this many submits in a row fail for one cause; none for never.  [default: 20]"),
    flag("--fuse-share", "SHARE", "Or when this share of the last 100 do; none for never.  [default: 90%]"),
    flag(
        "--embed",
        "WHAT",
        "Embed in each image what made it: infotext, xmp, iptc, separated by commas.  [default: none]",
    ),
    flag(
        "--no-schema-check", "NAME", "Send this input without a check against the model's schema; several with commas."
    ),
    flag(
        "--check-inputs",
        "WHICH",
        "Look at the URLs of file inputs before the first submit: auto, all, none.  [default: auto]",
    ),
    flag(
        "--engine",
        "WHICH",
        "Who fetches the images: local (this process), or ray (workers on a cluster).  [default: local]",
    ),
    flag("--workers", "N", "With --engine ray: how many workers.  [default: one for each free CPU, at most 16]"),
    flag("--timeout", "TIME", "Give up on a job that is unfinished for this long; its id is kept.  [default: 30m]"),
)

manifest_options = _all(
    flag("-o --out", "DIR", "Run directory.  [default: runs/<manifest stem>]", complete_runs),
    flag("--model", "ID", "Model id.  [default: the manifest's, else Imagen 4 Fast]", complete_model),
    flag(
        "--set set_",
        "KEY=VALUE",
        "Input for every job that does not set it; repeatable.",
        complete_input,
        multiple=True,
    ),
    flag(
        "--matrix",
        "KEY=SPEC",
        "Sweep axis: seed=1..20, seed=random:20:7, aspect_ratio=16:9,1:1; repeatable.",
        complete_input,
        multiple=True,
    ),
    flag("--repeat", "N", "Each prompt N times, with a seed drawn for each; a prompt's own `repeat` wins."),
    click.option("--dynamic", is_flag=True, help="Prompts are templates: {a|b}, and __name__ from wildcards/."),
    flag(
        "--images",
        "URL",
        "Put the images into this bucket: s3://, gs://, az:// or file://.  [default: the run directory]",
    ),
    flag("--media", "URL", "Upload inputs that are files on this machine to this place: s3://, gs:// or az://."),
    flag("--shard", "I/N", "Only the I-th of N parts of the manifest, by job key; each in a run directory of its own."),
    flag("--limit", "N", "Only the first N jobs; run again without it for the rest."),
    flag("--format format_", "FMT", "How to read a prompt file.  [default: by extension]"),
    flag("--prompt-column", "NAME", "The column that has the prompts.  [default: prompt]"),
    flag(
        "--prompt-input", "NAME", "The model's input that prompts go to.  [default: prompt, else its one required text]"
    ),
    flag("--meta", "COLUMN", "Keep this column as metadata, whatever its name.", multiple=True),
    flag("--path", "TEMPLATE", "Where images go: {index:05d}_{prompt_id} ..."),
)

service_options = _all(
    click.option("--simulate", is_flag=True, help="Use the embedded simulator: no account, no cost."),
    flag("--base-url", "URL", "API root including /v1.  [env: RUNCOMFY_MODEL_API_BASE]"),
    flag(
        "--trust-host",
        "HOST",
        "Also download from this host, over http too; repeatable.  [default: RunComfy's, https only]",
        multiple=True,
    ),
    flag("--token-file", "FILE", "Read the API token from this file.", complete_file),
)


def collect(given: dict[str, Any]) -> Any:
    """``service.Options`` from what click collected, also of a command without a manifest. Raises UsageError."""
    from batcher.api.options import NAMES, options_of

    spelled = {**given, "set": given.get("set_"), "format": given.get("format_")}
    texts = {name: list(text) if isinstance(text, tuple) else text for name, text in spelled.items() if text}
    typed = shlex.join(["batcher", *(click.get_current_context().obj or ())])
    names = {name: texts[name] for name in NAMES if name in texts}
    return options_of(given.get("manifest", ""), given.get("out"), names, typed=typed)
