"""What can be said of a picture without a model: the words of ``flag:`` in ``--where``."""

from enum import StrEnum


class Flag(StrEnum):
    """One picture may have several."""

    DUPLICATE = "duplicate"  # the same bytes as another picture
    NEAR = "near-duplicate"  # hardly to be told from another picture
    SEED_IGNORED = "seed-ignored"  # the same picture for two seeds
    SAME_FOR_PROMPTS = "same-for-prompts"  # the same picture for two prompts: an error picture, or a collapsed model
    BLANK = "blank"
    LOW_ENTROPY = "low-entropy"
    WRONG_RATIO = "wrong-ratio"
