"""All fuzz targets, in the order of the table."""

from tests.fuzz import answers, manifests, pictures, wires
from tests.fuzz.target import Target

TARGETS: tuple[Target, ...] = (*manifests.TARGETS, *answers.TARGETS, *pictures.TARGETS, *wires.TARGETS)
