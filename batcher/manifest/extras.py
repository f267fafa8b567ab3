"""Optional libraries, and the command that adds them to this installation."""

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
    """The command that adds an extra, for the user to type. Raises KeyError for an extra that does not exist."""
    return install(*EXTRAS[extra])


def install(*libraries: str, upgrade: bool = False) -> str:
    """The command that adds libraries to this installation, whether it was made by pip, pipx or uv.

    It names only the libraries and not batcher, so it also works for an installation from a clone.
    """
    upgraded = ["--upgrade"] if upgrade else []
    if "pipx" in Path(sys.prefix).parts:
        name = Path(sys.prefix).name
        words = ["pipx", "runpip", name, "install", *upgraded] if upgrade else ["pipx", "inject", name]
        words += libraries
    elif find_spec("pip") is None:
        words = ["uv", "pip", "install", *upgraded, "--python", _python(), *libraries]
    else:
        words = [_python(), "-m", "pip", "install", *upgraded, *libraries]
    return shlex.join(words)


def _python() -> str:
    """The path of this interpreter, relative to the current folder if it lies below it."""
    path = Path(sys.executable)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
