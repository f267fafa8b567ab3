"""The token and the base URL of the service, from flags, the environment and the token files."""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batcher.core.errors import AccountError

BASE_URL = "https://model-api.runcomfy.net/v1"
BASE_URL_ENV = "RUNCOMFY_MODEL_API_BASE"
TOKEN_ENV = ("RUNCOMFY_TOKEN", "RUNCOMFY_API_TOKEN", "RUNCOMFY_API_KEY", "YOUR_API_TOKEN")
"""Environment variables, the first one set counts. The last is the name in the examples on the pages of models."""


def base_url(flag: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The base URL: the flag, else the environment variable unless it is blank, else RunComfy's."""
    return flag or environ.get(BASE_URL_ENV, "").strip() or BASE_URL


@dataclass(frozen=True, slots=True)
class Token:
    """The token; its repr does not show it.

    value: the secret.
    origin: where it was found, in words.
    warning: what is unsafe about that place, "" for nothing.
    """

    value: str
    origin: str
    warning: str = ""

    def __repr__(self) -> str:
        return f"Token(origin={self.origin!r})"


def find_token(token_file: str | None, environ: Mapping[str, str] = os.environ) -> Token:
    """The token from ``--token-file``, else the environment, else the file of the official CLI. Raises AccountError."""
    if token_file is not None:
        return _from_file(Path(token_file), "--token-file")
    for name in TOKEN_ENV:
        if value := environ.get(name, "").strip():
            return _checked(value, f"environment variable {name}")
    path = _cli_token_path(environ)
    if os.path.isfile(path):  # noqa: PTH113  Path.is_file raises if the folder may not be searched
        return _from_file(path, "the RunComfy CLI's token file")
    raise AccountError(
        "no token was given",
        hint="Set RUNCOMFY_TOKEN, or pass --token-file FILE, or sign in with the RunComfy CLI (`runcomfy login`).\n"
        "Get a token on your Profile page at https://www.runcomfy.com; prices: https://www.runcomfy.com/models.\n"
        "To try batcher without an account, add --simulate.",
    )


def _cli_token_path(environ: Mapping[str, str]) -> Path:
    if folder := environ.get("RUNCOMFY_CONFIG_DIR", "").strip():
        return Path(folder) / "token.json"
    config = environ.get("XDG_CONFIG_HOME", "").strip() or str(Path(environ.get("HOME", "~")).expanduser() / ".config")
    return Path(config) / "runcomfy" / "token.json"


def _from_file(path: Path, origin: str) -> Token:
    """The token in a file: all of it, or ``access_token`` of a JSON object, as the official CLI writes."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise AccountError(f"the token file {path} can't be read: {reason}", hint="Nothing was sent.") from None
    if text.startswith("{"):
        try:
            text = json.loads(text)["access_token"].strip()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise AccountError(
                f"the token file {path} holds no access_token", hint="Sign in again with the RunComfy CLI."
            ) from None
    loose = os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH)
    warning = f"others on this machine can read {path}: `chmod 600 {path}`" if loose else ""
    return _checked(text, f"{origin} {path}", warning)


def _checked(value: str, origin: str, warning: str = "") -> Token:
    if not value or len(value) > 8192 or not all("!" <= character <= "~" for character in value):
        raise AccountError(
            f"what {origin} holds is not a token", hint="A token is one line of printable characters without spaces."
        )
    return Token(value, origin, warning)
