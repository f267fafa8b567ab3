"""The parts of the manual that are made from the code: flags of every command, keys of ``run:``, exit codes, the schema
of the sidecar.

``python -m tests.docs`` writes them; a test fails when they are not what the code says.
"""

import re
from functools import partial
from pathlib import Path

import click
import msgspec

from batcher.commands.cli import GROUPS, cli, load
from batcher.commands.options import SECTIONS
from batcher.commands.recorded import TakesRun
from batcher.core.exit_codes import EXIT_CODES
from batcher.core.sidecar import SidecarFields
from batcher.manifest.yaml.document import RUN_OPTIONS
from batcher.runner.stop import SEVERITY

PLACED = {name for names in SECTIONS.values() for name in names}
MANUAL = Path(__file__).parents[2] / "batcher" / "manual"
SIDECAR_SCHEMA = MANUAL / "sidecar.schema.json"


def pages() -> dict[Path, str]:
    """The pages as they have to be, by their path."""
    made = {MANUAL / "commands.md": commands()}
    for path in sorted(MANUAL.glob("*.md")):
        if path.name != "commands.md":
            made[path] = _filled(path.read_text("utf-8"))
    schema = msgspec.json.encode(msgspec.json.schema(SidecarFields))
    return {**made, SIDECAR_SCHEMA: msgspec.json.format(schema).decode() + "\n"}


def _filled(text: str) -> str:
    """A page with what stands between ``<!-- generated: NAME -->`` and ``<!-- end -->`` made anew."""
    parts = {"exit codes": exit_codes(), "run keys": run_keys()}
    return re.sub(
        r"(<!-- generated: ([\w ]+) -->\n).*?(<!-- end -->)",
        lambda match: match[1] + parts[match[2]] + match[3],
        text,
        flags=re.DOTALL,
    )


def exit_codes() -> str:
    rows = [f"| {code} | {meaning.what} | {meaning.then} |" for code, meaning in EXIT_CODES.items()]
    first = f"If several apply, it is the first of these: {', '.join(map(str, SEVERITY))}."
    return "\n".join(["", "| code | meaning | then |", "| --- | --- | --- |", *rows, "", first, ""])


def run_keys() -> str:
    return "\n" + ", ".join(f"`{name}`" for name in RUN_OPTIONS) + "\n"


_INTRODUCTION = """\
Every command has `--help`, and most have `--json` for one JSON object instead of words. RUN is a run directory, its
name below `runs/`, or its manifest; without it the newest run below `runs/` is taken. This page is made
from the code."""


def commands() -> str:
    parts = ["# Commands and flags", _INTRODUCTION]
    for title, group in GROUPS.items():
        parts.append(f"**{title}:** " + ", ".join(f"[{name}](#{name})" for name in group))
    for group in GROUPS.values():
        parts += [_command(name, load(name)) for name in group]
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command, click.Context(cli, info_name="batcher", **cli.context_settings), info_name=name)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {name}", f"`{usage.replace('[OPTIONS] ', '')}`", " ".join((command.help or "").split())]
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    if isinstance(command, TakesRun):
        for title, names in [
            *SECTIONS.items(),
            ("Other", [option.name for option in options if option.name not in PLACED]),
        ]:
            if rows := [_row(option, context) for name in names for option in options if option.name == name]:
                parts += [f"**{title}**", _table(rows)]
    elif options:
        parts.append(_table([_row(option, context) for option in options]))
    if command.epilog:
        parts.append(_examples(command.epilog))
    return "\n\n".join(parts)


def _table(rows: list[str]) -> str:
    return "\n".join(["| flag | meaning | default |", "| --- | --- | --- |", *rows])


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None, f"{context.command_path} {option.name} has no help"
    flags, text = record
    text = re.sub(r"; (\d+<=)?x[<>]=\d+|\s*\[(\d+<=)?x[<>]=\d+\]", "", re.sub(r"\s+", " ", text))
    default = re.search(r"\s*\[default: ([^\]]*(?:\][^\]]*)*)\]$", text)
    meaning = text[: default.start()] if default else text
    text_of = partial(re.sub, r"<(?=\w)", "&lt;")
    cells = [f"`{flags}`", text_of(meaning.strip()), text_of(default[1]) if default else ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _examples(epilog: str) -> str:
    lines = epilog.replace("\b", "").strip("\n").splitlines()
    code = [line.strip() for line in lines if line.startswith(" ")]
    words = [line for line in lines if not line.startswith(" ") and line != "Examples:"]
    return "\n\n".join(["```bash\n" + "\n".join(code) + "\n```"] * bool(code) + [" ".join(words)] * bool(words))
