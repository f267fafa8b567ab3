"""What can be said of a picture without a model: that it is blank, nearly so, of the wrong shape, or there twice.

``look`` measures one picture, on its thumbnail: a millisecond. ``flags`` judges all looks of a run together, and says
what an equal picture means by what was asked: other seeds, other prompts, or the very same request.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, combinations, product
from typing import Any

from PIL import Image

from batcher.core.flag import Flag

SIDE = 256  # pixels: a picture is made this small before it is measured, so that thumbnails of any size agree
_BITS = 64
_BANDS = 4  # two hashes that differ in fewer bits than there are bands are equal in one of them
_NEAR = 3  # bits
_MOST_IN_A_BAND = 64  # pictures whose bands are equal: where more are, they are compared with the first ones only
_BLANK = 4.0  # standard deviation of the grey values, of 255
_POOR = 2.0  # bits a pixel; a photograph has 6 to 8
_RATIO = 0.1  # Imagen 4 gives 1408x768 for 16:9 and 1280x896 for 4:3, 3 and 7 % off


@dataclass(frozen=True, slots=True)
class Look:
    """dhash: 64 bits. entropy: bits a pixel, of the grey values. spread: their standard deviation, of 255."""

    dhash: int
    entropy: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictured:
    """A picture and what was asked for. group: equal for jobs that differ in seed and copy alone. seed: as text.

    asked: width / height as asked for, None where nobody said. look: None for a picture that can't be decoded.
    """

    job: str
    output_index: int
    sha256: str
    group: str
    prompt: str
    seed: str
    asked: float | None
    width: int | None
    height: int | None
    look: Look | None

    @property
    def place(self) -> tuple[str, int]:
        return self.job, self.output_index


def look(image: Image.Image) -> Look:
    """Of a picture or its thumbnail."""
    grey = image.convert("L")
    grey.thumbnail((SIDE, SIDE))
    small = grey.resize((9, 8), Image.Resampling.BOX)
    pixels = small.tobytes()
    bits = 0
    for row in range(8):
        for column in range(8):
            at = 9 * row + column
            bits = bits << 1 | (pixels[at] < pixels[at + 1])
    counts = grey.histogram()
    total = sum(counts)
    mean = sum(value * count for value, count in enumerate(counts)) / total
    variance = sum(count * (value - mean) ** 2 for value, count in enumerate(counts)) / total
    return Look(bits, float(grey.entropy()), variance**0.5)


def flags(pictures: Iterable[Pictured]) -> dict[tuple[str, int], set[Flag]]:
    """By job and output index; pictures of which nothing is to be said are left out."""
    every = list(pictures)
    flags_of: dict[tuple[str, int], set[Flag]] = defaultdict(set)
    for picture in every:
        flags_of[picture.place] |= _alone(picture)
    for one, other, exact in _twins(every):
        words = {Flag.DUPLICATE if exact else Flag.NEAR, *_meaning(one, other)}
        flags_of[one.place] |= words
        flags_of[other.place] |= words
    return {place: words for place, words in flags_of.items() if words}


def _alone(picture: Pictured) -> set[Flag]:
    words = set()
    if picture.look is not None:
        if picture.look.spread < _BLANK:
            words.add(Flag.BLANK)
        elif picture.look.entropy < _POOR:
            words.add(Flag.LOW_ENTROPY)
    if picture.asked and picture.width and picture.height:
        ratio = picture.width / picture.height / picture.asked
        if not 1 - _RATIO <= ratio <= 1 + _RATIO:
            words.add(Flag.WRONG_RATIO)
    return words


def _meaning(one: Pictured, other: Pictured) -> set[Flag]:
    if one.job == other.job or (one.group == other.group and one.seed == other.seed):
        return set()
    if one.group == other.group:
        return {Flag.SEED_IGNORED}
    return {Flag.SAME_FOR_PROMPTS} if one.prompt != other.prompt else set()


def _twins(pictures: list[Pictured]) -> Iterator[tuple[Pictured, Pictured, bool]]:
    """Pairs of equal (True) or nearly equal pictures; of many equal ones, each with the first of each group."""
    by_sha: dict[str, list[Pictured]] = defaultdict(list)
    for picture in pictures:
        by_sha[picture.sha256].append(picture)
    for equal in by_sha.values():
        first: dict[str, Pictured] = {}
        for picture in equal:
            before = first.setdefault(picture.group, picture)
            if before is not picture:
                yield before, picture, True
            elif picture is not equal[0]:
                yield equal[0], picture, True
    blank = {picture.place for picture in pictures if Flag.BLANK in _alone(picture)}  # those are alike by nature
    for one, other in _near([picture for picture in pictures if picture.look and picture.place not in blank]):
        if one.sha256 != other.sha256:
            yield one, other, False


def _near(pictures: list[Pictured]) -> Iterator[tuple[Pictured, Pictured]]:
    """Pairs whose hashes differ in ``_NEAR`` bits at most."""
    bands: dict[tuple[int, int], list[Pictured]] = defaultdict(list)
    width = _BITS // _BANDS
    for picture in pictures:
        assert picture.look is not None
        for band in range(_BANDS):
            bands[band, picture.look.dhash >> band * width & (1 << width) - 1].append(picture)
    for (band, _), alike in bands.items():
        few, many = alike[:_MOST_IN_A_BAND], alike[_MOST_IN_A_BAND:]
        for one, other in chain(combinations(few, 2), product(few[:1], many)):
            assert one.look is not None
            assert other.look is not None
            different = one.look.dhash ^ other.look.dhash
            # A pair that an earlier band gave is not given again.
            earlier = any(not different >> before * width & (1 << width) - 1 for before in range(band))
            if not earlier and different.bit_count() <= _NEAR:
                yield one, other


def asked_ratio(inputs: Mapping[str, Any]) -> float | None:
    """Width / height as a job asks for it, None where it does not say."""
    try:
        across, down = (float(side) for side in str(inputs.get("aspect_ratio", "")).split(":"))
        return across / down if 0 < across < math.inf and 0 < down < math.inf else None
    except ValueError:
        pass
    width, height = inputs.get("width"), inputs.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width / height
    return None
