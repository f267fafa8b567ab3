"""batcher: a batch job runner for prompt files. From Python:

.. code-block:: python

    import batcher

    report = batcher.run("night.yaml", rate="5/s", budget=25)

    async with batcher.start(rows, matrix={"seed": range(4)}, out="runs/x") as run:
        async for result in run:
            ...

    run = batcher.open("runs/x")
    run.images(where='aspect_ratio == "16:9"')

``batcher help python`` has the whole of it. The names are loaded when they are used, so that importing costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from batcher.core.version import __version__

if TYPE_CHECKING:
    from batcher.api.calls import open, plan, run, start  # noqa: A004  batcher.open is read with its module
    from batcher.api.going import GoingRun
    from batcher.api.run import Run
    from batcher.api.values import Failed, Image, Images, Plan, Report
    from batcher.core.errors import (
        AccountError,
        BatcherError,
        BusyError,
        DiskError,
        Interrupted,
        ManifestError,
        Problem,
        ServiceError,
        UsageError,
    )
    from batcher.core.job import Job, State
    from batcher.core.settings import Settings
    from batcher.runner.service import Service

_WHERE = {
    "batcher.api.calls": "run start plan open",
    "batcher.api.going": "GoingRun",
    "batcher.api.run": "Run",
    "batcher.api.values": "Failed Image Images Plan Report",
    "batcher.core.errors": (
        "AccountError BatcherError BusyError DiskError Interrupted ManifestError Problem ServiceError UsageError"
    ),
    "batcher.core.job": "Job State",
    "batcher.core.settings": "Settings",
    "batcher.runner.service": "Service",
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names.split()}

__all__ = [  # noqa: RUF022  loaded on use; in the order of the manual
    "run", "start", "plan", "open", "Run", "GoingRun", "Report", "Plan", "Image", "Images", "Failed", "Job", "State",
    "Settings", "Service", "BatcherError", "UsageError", "ManifestError", "Problem", "ServiceError", "DiskError",
    "BusyError", "AccountError", "Interrupted", "__version__",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'batcher' has no attribute {name!r}")
    value = getattr(import_module(_MODULE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
