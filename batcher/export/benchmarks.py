"""The layouts that the scripts of benchmarks read.

GenEval reads ``00000/samples/0000.png``, only ``.png``, and in ``00000/metadata.jsonl`` the prompt's line of the prompt
file. T2I-CompBench takes the text before the first ``_`` of a name as the prompt, and the digits at its end as the
order. DPG-Bench reads one image for each prompt, named by the prompt's id, and cuts it into two by two tiles. HPSv2
reads a folder of numbered ``.jpg`` files for each style; each of its prompt files is a style.
"""

from dataclasses import dataclass

from batcher.images.kinds import JPEG, PNG
from batcher.images.recode import Recode


@dataclass(frozen=True, slots=True)
class Layout:
    """Where images go, and in what form.

    template: the path of an image, without extension.
    recode: the format that is required; None for any.
    metadata: whether each prompt has a ``metadata.jsonl``.
    tiles: whether four images of a prompt are combined into one file.
    exact: whether the scorer reads the prompt from the name, so that it is changed no more than the disk requires.
    """

    template: str
    recode: Recode | None = None
    metadata: bool = False
    tiles: bool = False
    exact: bool = False


BENCHMARKS = {
    "geneval": Layout("{index:05d}/samples/{sample:04d}", Recode(PNG), metadata=True),
    "t2i-compbench": Layout("samples/{prompt}_{number:06d}", Recode(PNG), exact=True),
    "dpg-bench": Layout("{prompt_id}", Recode(PNG), tiles=True),
    "hpsv2": Layout("{stem}/{index:05d}", Recode(JPEG, 95)),
}
