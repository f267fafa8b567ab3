"""The dataset card: a README.md that says what is in an export, to people and (in its head) to the Hugging Face hub."""

import json
from collections.abc import Iterator, Mapping, Sequence

from batcher.export.columns import Kind

_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_WORDS = {1_000: "1K", 10_000: "10K", 100_000: "100K", 1_000_000: "1M", 10_000_000: "10M"}


def card(
    *,
    title: str,
    load: str,
    paths: Mapping[str, Sequence[str]],
    pictures: Mapping[str, int],
    columns: Mapping[str, Kind],
    models: Sequence[str],
    simulated: bool,
    notes: Sequence[str],
    image: bool = True,
) -> Iterator[str]:
    """paths: by split, for ``configs``. load: the line of Python that opens it. image: whether it has that column."""
    total = sum(pictures.values())
    yield "---\nconfigs:\n- config_name: default\n  data_files:\n"
    for split, patterns in paths.items():
        yield f"  - split: {split}\n    path: {json.dumps(list(patterns))}\n"
    yield f"task_categories:\n- text-to-image\nsize_categories:\n- {_size(total)}\ntags:\n- synthetic\n---\n\n"
    yield f"# {title}\n\n"
    kind = "images from a simulator, stamped as such: no model made them" if simulated else "generated images"
    yield f"{total:,} {kind}.\n\n```python\n{load}\n```\n\n| split | images |\n| --- | --- |\n"
    for split, count in pictures.items():
        yield f"| {split} | {count:,} |\n"
    yield "\n| column | type |\n| --- | --- |\n" + ("| image | image |\n" if image else "")
    for name, column in columns.items():
        yield f"| {_cell(name)} | {column} |\n"
    if image:
        yield "\n`prompt` is the text as sent; `source_sha256` is of the file as delivered; `job` is the job's key.\n"
    if models:
        yield f"\nMade by {', '.join(f'`{model}`' for model in models)}.\n"
    if notes:
        yield "\n" + "".join(f"- {note}\n" for note in notes)
    yield "\nWritten by batcher.\n"


def _size(count: int) -> str:
    if count < 1_000:
        return "n<1K"
    steps = [size for size in _SIZES if size <= count]
    after = _SIZES[len(steps)] if len(steps) < len(_SIZES) else None
    return f"{_WORDS[steps[-1]]}<n<{_WORDS[after]}" if after else "n>10M"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
