"""Whether a run directory still holds what was paid for, and how to fix it.

Three things tell the same story: the state file, the sidecars, and the bytes of the pictures. ``survey`` reads all of
it and says where two of them disagree; the sha256 taken at the download is the judge of the bytes, the state file that
of the sidecars. ``repair`` puts right what can be had free and never deletes anything: what is in the way goes to
``lost+found``. When the state file is gone, ``rebuild`` makes a new one from the sidecars.
"""

from batcher.upkeep.findings import Finding, Fix, Kind
from batcher.upkeep.survey import Survey, look

__all__ = ["Finding", "Fix", "Kind", "Survey", "look"]
