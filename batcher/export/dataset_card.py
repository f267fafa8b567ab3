"""The dataset card: a README.md that describes an export to people and, in its front matter, to Hugging Face."""

import json
from collections.abc import Iterator, Mapping

from batcher.export.columns import Kind
from batcher.export.request import SPLITS_OF_DATASETS
from batcher.export.target import Target

_SIZES = {  # what Hugging Face calls a dataset with less rows than that
    "n<1K": 1_000, "1K<n<10K": 10_000, "10K<n<100K": 100_000, "100K<n<1M": 1_000_000, "1M<n<10M": 10_000_000,
}  # fmt: skip


def card(
    target: Target, reader: str, files: str, columns: Mapping[str, Kind], *, load: str = "", note: str = "",
    image: bool = True,
) -> Iterator[str]:  # fmt: skip
    """The text of the card, in pieces.

    target: the export, after it was written.
    reader: the name of the loader in ``datasets``.
    files: glob pattern of the data files, relative to the folder of a split.
    columns: their types by name.
    load: more lines of Python, which open the dataset with another library.
    note: a note to put before those of the target.
    image: whether there is a column ``image``.
    """
    splits, total = sorted(target.images), sum(target.images.values())
    yield "---\nconfigs:\n- config_name: default\n  data_files:\n"
    for split in splits:
        yield f"  - split: {SPLITS_OF_DATASETS[split]}\n    path: {json.dumps([f'{split}/{files}'])}\n"
    size = next((name for name, end in _SIZES.items() if total < end), "n>10M")
    yield f"task_categories:\n- text-to-image\nsize_categories:\n- {size}\ntags:\n- synthetic\n---\n\n"
    yield f"# {target.order.folder.absolute().name}\n\n"
    made = "images from a simulator, stamped as such: no model made them" if target.simulated else "generated images"
    yield f"{total:,} {made}.\n\n```python\nfrom datasets import load_dataset\n\n"
    yield f'dataset = load_dataset("{reader}", data_dir="this folder"){load}\n```\n\n'
    yield "| split | images |\n| --- | --- |\n"
    for split in splits:
        yield f"| {split} | {target.images[split]:,} |\n"
    yield "\n| column | type |\n| --- | --- |\n" + ("| image | image |\n" if image else "")
    for name, column in columns.items():
        cell = name.replace("|", "\\|").replace("\n", " ")
        yield f"| {cell} | {column} |\n"
    if image:
        yield "\n`prompt` is the text as sent; `source_sha256` is of the file as delivered; `job` is the job's key.\n"
    yield f"\nMade by {', '.join(f'`{model}`' for model in sorted(target.models))}.\n"
    if notes := [*([note] if note else []), *target.notes]:
        yield "\n" + "".join(f"- {each}\n" for each in notes)
    yield "\nWritten by batcher.\n"
