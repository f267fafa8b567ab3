"""Flags of images without a model: blank, low entropy, wrong ratio, duplicates and what those mean.

``measure`` measures one image on its thumbnail, in a millisecond. ``flags`` compares all images of a run. What a
duplicate means depends on what was asked for: another seed, another prompt, or the very same inputs.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, combinations, product
from typing import Any

from PIL import Image, ImageStat

from batcher.core.flag import Flag
from batcher.images.check import parse_ratio, ratio_differs

SIDE = 256  # pixels: images are measured at this size, so that thumbnails of any size give the same
_BITS = 64
_BANDS = 4  # of a hash: two that differ in fewer bits than there are bands are equal in one band
_NEAR = 3  # bits
_MOST_IN_A_BAND = 64  # images that are all compared with each other; others are compared with the first only
_BLANK = 4.0  # standard deviation of the grey values, of 255
_POOR = 2.0  # bits a pixel; a photograph has 6 to 8


@dataclass(frozen=True, slots=True)
class Measured:
    """Measures of an image. dhash: 64 bits. entropy: of the grey values, in bits a pixel. spread: their standard
    deviation, of 255.
    """

    dhash: int
    entropy: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An image to be flagged, and what was asked for.

    place: job key and output index. sha256: hex. prompt: as sent. group: equal for jobs that differ in nothing but seed
    and copy. seed: as text. asked: width / height as asked for, None if the job does not say. width, height: pixels.
    measured: None if it was not measured.
    """

    place: tuple[str, int]
    sha256: str
    group: str
    prompt: str
    seed: str
    asked: float | None
    width: int | None
    height: int | None
    measured: Measured | None


def measure(image: Image.Image) -> Measured:
    """The measures of an image or its thumbnail."""
    grey = image.convert("L")
    grey.thumbnail((SIDE, SIDE))
    small = grey.resize((9, 8), Image.Resampling.BOX)
    pixels = small.tobytes()
    bits = 0
    for at in range(9 * 8):
        if at % 9 < 8:  # each pixel of a row but the last, with the next one
            bits = bits << 1 | (pixels[at] < pixels[at + 1])
    return Measured(bits, float(grey.entropy()), ImageStat.Stat(grey).stddev[0])


def flags(images: Iterable[Candidate]) -> dict[tuple[str, int], set[Flag]]:
    """Flags by job and output index; images without any are left out."""
    every = list(images)
    flags_of: dict[tuple[str, int], set[Flag]] = defaultdict(set)
    for image in every:
        flags_of[image.place] |= _alone(image)
    for one, other, exact in _twins(every):
        words = {Flag.DUPLICATE if exact else Flag.NEAR, *_meaning(one, other)}
        flags_of[one.place] |= words
        flags_of[other.place] |= words
    return {place: words for place, words in flags_of.items() if words}


def _alone(image: Candidate) -> set[Flag]:
    """Flags that need no other image."""
    words = set()
    if image.measured is not None and image.measured.spread < _BLANK:
        words.add(Flag.BLANK)
    elif image.measured is not None and image.measured.entropy < _POOR:
        words.add(Flag.LOW_ENTROPY)
    if image.asked and image.width and image.height and ratio_differs((image.width, image.height), image.asked):
        words.add(Flag.WRONG_RATIO)
    return words


def _meaning(one: Candidate, other: Candidate) -> set[Flag]:
    """What it means that these two are equal, by what was asked for."""
    if one.place[0] == other.place[0] or (one.group == other.group and one.seed == other.seed):
        return set()
    if one.group == other.group:
        return {Flag.SEED_IGNORED}
    return {Flag.SAME_FOR_PROMPTS} if one.prompt != other.prompt else set()


def _twins(images: list[Candidate]) -> Iterator[tuple[Candidate, Candidate, bool]]:
    """Pairs of images, and whether they are equal (True) or nearly so. Of many equal ones, pairs with the first ones
    of each group only.
    """
    by_sha: dict[str, list[Candidate]] = defaultdict(list)
    for image in images:
        by_sha[image.sha256].append(image)
    for equal in by_sha.values():
        first: dict[str, Candidate] = {}
        for image in equal:
            before = first.setdefault(image.group, image)
            if before is not image:
                yield before, image, True
            elif image is not equal[0]:
                yield equal[0], image, True
    blank = {image.place for image in images if Flag.BLANK in _alone(image)}  # always alike
    for one, other in _near(
        [(image, image.measured.dhash) for image in images if image.measured and image.place not in blank]
    ):
        if one.sha256 != other.sha256:
            yield one, other, False


def _near(images: list[tuple[Candidate, int]]) -> Iterator[tuple[Candidate, Candidate]]:
    """Pairs whose hashes differ in at most ``_NEAR`` bits. images: each with its hash."""
    bands: dict[tuple[int, int], list[tuple[Candidate, int]]] = defaultdict(list)
    width = _BITS // _BANDS
    for image in images:
        for band in range(_BANDS):
            bands[band, image[1] >> band * width & (1 << width) - 1].append(image)
    for (band, _), alike in bands.items():
        few, many = alike[:_MOST_IN_A_BAND], alike[_MOST_IN_A_BAND:]
        for (one, hash_of_one), (other, hash_of_other) in chain(combinations(few, 2), product(few[:1], many)):
            different = hash_of_one ^ hash_of_other
            # An earlier band gave this pair if the hashes are equal there.
            earlier = any(not different >> before * width & (1 << width) - 1 for before in range(band))
            if not earlier and different.bit_count() <= _NEAR:
                yield one, other


def asked_ratio(inputs: Mapping[str, Any]) -> float | None:
    """Width / height as a job asks for it, by ``aspect_ratio`` or by width and height; None if it does not say."""
    if (ratio := parse_ratio(str(inputs.get("aspect_ratio", "")))) is not None:
        return ratio
    width, height = inputs.get("width"), inputs.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width / height
    return None
