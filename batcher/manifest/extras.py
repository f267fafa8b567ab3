"""Libraries that not everybody needs, and the command that adds them to this installation."""

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

DISTRIBUTION = "prompt-batcher"  # its name for pip; the package and the command are called batcher

# By the name of the extra, as in pyproject.toml.
EXTRAS = {
    "speed": ("uvloop",),
    "parquet": ("pyarrow",),
    "xlsx": ("python-calamine",),
    "cloud": ("obstore",),
    "notify": ("apprise",),
    "metrics": ("prometheus-client",),
    "ray": ("ray",),
    "grid": ("noto-cjk-sans-otc", "fontpkg-noto-sans-devanagari", "fontpkg-noto-sans-thai"),
}


def install_command(extra: str) -> str:
    """The command to type for an extra, whether batcher was installed by pip, pipx or uv.

    It names the libraries themselves, so it also works in a clone. Raises KeyError for an extra that does not exist.
    """
    libraries = EXTRAS[extra]
    parts = Path(sys.prefix).parts
    if "pipx" in parts:
        words = ["pipx", "inject", DISTRIBUTION, *libraries]
    elif parts[-3:-1] == ("uv", "tools"):
        words = ["uv", "tool", "install", DISTRIBUTION, *(word for name in libraries for word in ("--with", name))]
    elif find_spec("pip") is None:
        words = ["uv", "pip", "install", "--python", _python(), *libraries]
    else:
        words = [_python(), "-m", "pip", "install", *libraries]
    return shlex.join(words)


def _python() -> str:
    """The interpreter at hand, relative to the current folder when it lies below it."""
    path = Path(sys.executable)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
