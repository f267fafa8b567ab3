"""``captions``: a ``.txt`` of one line beside each picture, all in one folder: what trainers read.

kohya takes the first line only, refuses an empty file and does not look into folders; SimpleTuner takes every line for
another caption; OneTrainer and ai-toolkit take the file as it is. One line that is never empty suits all of them.
"""

import re
from collections.abc import Iterable

from batcher.export.columns import as_text
from batcher.export.request import Order
from batcher.export.selection import Sample, Selection
from batcher.export.splits import WHOLE
from batcher.export.target import FileTarget
from batcher.export.templates import Template
from batcher.store.files.link_or_copy import Made

_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")


class Caption:
    """The caption of a picture: the template's text as one line, the prompt where that is empty."""

    def __init__(self, template: str) -> None:
        self.template = Template(template, "--caption")

    def of(self, sample: Sample) -> str:
        text = self.template.render(sample.value)
        return one_line(text) or one_line(sample.prompt) or sample.picture.prompt_id


def one_line(text: str) -> str:
    return " ".join(_NOT_TEXT.sub(" ", as_text(text)).split())


class Captions(FileTarget):
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
        return (Made(f"{self._stem(sample)}.txt", content=text), self.picture(sample, self.name(sample)))

    def _stem(self, sample: Sample) -> str:
        return sample.name if self.order.splits.names == (WHOLE,) else f"{sample.split}/{sample.name}"
