"""Flags of images that are computed without a model: the words of ``flag:`` in ``--where``."""

from enum import StrEnum


class Flag(StrEnum):
    """An image may have several."""

    DUPLICATE = "duplicate"  # the same bytes as another image
    NEAR = "near-duplicate"  # hardly distinguishable from another image
    SEED_IGNORED = "seed-ignored"  # the same image for two seeds
    SAME_FOR_PROMPTS = "same-for-prompts"  # the same image for two prompts: an error image, or a collapsed model
    BLANK = "blank"
    LOW_ENTROPY = "low-entropy"
    WRONG_RATIO = "wrong-ratio"
