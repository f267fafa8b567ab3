"""``run`` and ``plan``: RUN in place of MANIFEST means the command that made it; ``--help`` has sections."""

import os
from contextlib import closing
from pathlib import Path

import click

from batcher.commands.options import SECTIONS
from batcher.commands.run_argument import is_run, run_named
from batcher.core.command_line import command_line
from batcher.core.errors import UsageError


class TakesRun(click.Command):
    """A command whose MANIFEST may be a run directory. Flags given beside it win over the recorded ones."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        rest = super().parse_args(ctx, args)
        manifest = ctx.params.get("manifest")
        if ctx.resilient_parsing or manifest is None:
            return rest
        run = Path(manifest) if os.path.exists(manifest) else run_named(manifest)  # noqa: PTH110  any text is answered
        if not is_run(run):
            return rest
        given.remove(manifest)
        words = [*self._without_others_flags(ctx, _recorded(run)), "--out", str(run), *given]
        ctx.params.clear()
        ctx.obj = (ctx.info_name or "run", *words)
        return super().parse_args(ctx, list(words))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The flags in sections."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        records = {option.name: option.get_help_record(ctx) for option in options}
        sections = {title: [records.pop(name, None) for name in names] for title, names in SECTIONS.items()}
        for title, of_section in [*sections.items(), ("Other", [*records.values()])]:
            if rows := [record for record in of_section if record is not None]:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def _without_others_flags(self, ctx: click.Context, words: list[str]) -> list[str]:
        """The recorded words without flags that this command does not have (``plan`` has fewer than ``run``)."""
        group = ctx.find_root().command
        run = group.get_command(ctx, "run") if isinstance(group, click.Group) else None
        assert run is not None
        mine = {flag for param in self.params for flag in param.opts}
        takes_value = {flag: not getattr(param, "is_flag", False) for param in run.params for flag in param.opts}
        kept, skip = [], False
        for word in words:
            flag = word.partition("=")[0]
            if skip:
                skip = False
            elif flag in takes_value and flag not in mine:
                skip = takes_value[flag] and "=" not in word
            else:
                kept.append(word)
        return kept


def _recorded(run_dir: Path) -> list[str]:
    """The arguments of the recorded ``batcher run``. Raises UsageError if they can't be repeated."""
    from batcher.api.options import recorded_words
    from batcher.store import connect_to_read, read_facts

    words = recorded_words(run_dir)
    with closing(connect_to_read(run_dir)) as connection:
        manifest = read_facts(connection).manifest
    is_path = manifest is not None and "://" not in manifest
    if is_path and not any(Path(word).exists() for word in (str(manifest), *words)):
        made_by = command_line("run", *words)
        raise UsageError(
            f"the manifest of {run_dir} is not here: {manifest}",
            hint=f"Go to the folder where the run was started, or name the manifest. It was made by: {made_by}",
        )
    return words
