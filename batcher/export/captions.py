"""``captions``: images in one folder, each beside a ``.txt`` file with its caption, for trainers.

A caption is one line and never empty, which suits all trainers: kohya reads the first line only, refuses an empty file
and ignores subfolders; SimpleTuner reads every line as another caption; OneTrainer and ai-toolkit read the whole file.
"""

import re
from collections.abc import Iterable

from batcher.export.columns import as_text
from batcher.export.matching import Sample
from batcher.export.request import Order
from batcher.export.selection import Selection
from batcher.export.splits import WHOLE
from batcher.export.target import FileTarget
from batcher.export.templates import Template
from batcher.store.files.link_or_copy import Made

_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")


class Caption:
    """Captions by a template, such as ``{prompt}, {meta.style}``. Raises UsageError for a wrong template."""

    def __init__(self, template: str) -> None:
        self.template = Template(template, "--caption")

    def of(self, sample: Sample) -> str:
        """The caption of an image, as one line: the template's text, else the prompt, else the prompt id."""
        text = self.template.render(sample.value)
        return one_line(text) or one_line(sample.prompt) or sample.image.prompt_id


def one_line(text: str) -> str:
    """The text with control characters and runs of whitespace replaced by one space each."""
    return " ".join(_NOT_TEXT.sub(" ", as_text(text)).split())


class Captions(FileTarget):
    """The ``captions`` target: an image and a text file for each sample.

    order, selection: as of ``Target``.
    """

    has_columns = False

    def __init__(self, order: Order, selection: Selection) -> None:
        super().__init__(order, selection)
        self.caption = Caption(order.caption)

    def settle(self) -> None:
        super().settle()
        self.caption.template.require(self.selection.names)
        if self.extensions["webp"]:
            self.notes.append("ai-toolkit does not read webp reliably; --convert jpeg:95 suits all trainers")

    def name(self, sample: Sample) -> str:
        return f"{self._stem(sample)}.{sample.extension}"

    def made(self, sample: Sample) -> Iterable[Made]:
        text = f"{self.caption.of(sample)}\n".encode()
        return (Made(f"{self._stem(sample)}.txt", content=text), self.image(sample, self.name(sample)))

    def _stem(self, sample: Sample) -> str:
        return sample.name if self.order.splits.names == (WHOLE,) else f"{sample.split}/{sample.name}"
