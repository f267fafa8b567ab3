"""``captions``: a ``.txt`` of one line beside each picture, all in one folder: what trainers read.

kohya takes the first line only, refuses an empty file and does not look into folders; SimpleTuner takes every line for
another caption; OneTrainer and ai-toolkit take the file as it is. One line that is never empty suits all of them.
"""

import re
from collections.abc import Iterable

from batcher.export.columns import as_text
from batcher.export.request import Order
from batcher.export.selection import Selection, Shot
from batcher.export.splits import WHOLE
from batcher.export.target import FileTarget
from batcher.export.templates import Template, values
from batcher.store.files.link_or_copy import Made

_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")


class Caption:
    """The caption of a picture: the template's text as one line, the prompt where that is empty."""

    def __init__(self, template: str) -> None:
        self.template = Template(template, "--caption")
        self._plain = template == "{prompt}"
        self.known = {"prompt"}

    def see(self, shot: Shot) -> None:
        if not self._plain:
            self.known |= values(shot.inputs, shot.meta, shot.facts).keys()

    def of(self, shot: Shot) -> str:
        text = shot.prompt if self._plain else self.template.render(values(shot.inputs, shot.meta, shot.facts))
        return one_line(text) or one_line(shot.prompt) or shot.picture.prompt_id


def one_line(text: str) -> str:
    return " ".join(_NOT_TEXT.sub(" ", as_text(text)).split())


class Captions(FileTarget):
    has_columns = False

    def __init__(self, order: Order, selection: Selection) -> None:
        super().__init__(order, selection)
        self.caption = Caption(order.caption)

    def see(self, shot: Shot) -> None:
        super().see(shot)
        self.caption.see(shot)

    def settle(self) -> None:
        super().settle()
        self.caption.template.require(self.caption.known)
        if self.extensions["webp"]:
            self.notes.append("ai-toolkit reads no webp reliably; --convert jpeg:95 suits all trainers")

    def name(self, shot: Shot) -> str:
        return f"{self._stem(shot)}.{shot.extension}"

    def made(self, shot: Shot) -> Iterable[Made]:
        text = f"{self.caption.of(shot)}\n".encode()
        return (Made(f"{self._stem(shot)}.txt", content=text), self.picture(shot, self.name(shot)))

    def _stem(self, shot: Shot) -> str:
        return shot.name if self.order.splits.names == (WHOLE,) else f"{shot.split}/{shot.name}"
