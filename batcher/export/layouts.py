"""The layouts that benchmarks score, as their own scripts read them.

GenEval walks ``00000/samples/0000.png`` with a ``metadata.jsonl`` that is the prompt's line of its file, and matches
``.png`` only. T2I-CompBench takes the text before the first ``_`` for the prompt and the digits at the end for the
order. DPG-Bench cuts one picture of two by two tiles for each prompt, named by the prompt's id. HPSv2 reads a folder
of numbered ``.jpg`` for each style, and the styles are its prompt files.
"""

from dataclasses import dataclass

from batcher.images.kinds import JPEG, PNG
from batcher.images.recode import Recode


@dataclass(frozen=True, slots=True)
class Layout:
    """recode: the format it has to be, None for any. metadata: a ``metadata.jsonl`` each prompt. tiles: four in one.

    exact: the scorer takes the prompt from the name, so that stands there as it is, as far as the disk takes it.
    """

    template: str
    recode: Recode | None = None
    metadata: bool = False
    tiles: bool = False
    exact: bool = False


LAYOUTS = {
    "geneval": Layout("{index:05d}/samples/{sample:04d}", Recode(PNG), metadata=True),
    "t2i-compbench": Layout("samples/{prompt}_{number:06d}", Recode(PNG), exact=True),
    "dpg-bench": Layout("{prompt_id}", Recode(PNG), tiles=True),
    "hpsv2": Layout("{stem}/{index:05d}", Recode(JPEG, 95)),
}
