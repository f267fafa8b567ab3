"""Object storage: the only module that talks to it. ``bucket.py`` and ``media_links.py`` decide what is there.

An object appears whole or not at all. Credentials are those of the machine (``AWS_*``, ``GOOGLE_*`` and ``AZURE_*``
variables, roles), never of a URL. Whatever a store refuses becomes a DiskError that says what to do.
"""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store, from_url

from batcher.core.errors import BatcherError, DiskError, UsageError
from batcher.core.one_line import one_line

Absent = (exceptions.NotFoundError, FileNotFoundError)
Changed = (exceptions.PreconditionError, exceptions.AlreadyExistsError)
_RETRIES: Any = {  # half a minute to a minute in all, then the run stops and can be resumed
    "max_retries": 12,
    "backoff": {"init_backoff": timedelta(seconds=0.25), "max_backoff": timedelta(seconds=10), "base": 3},
    "retry_timeout": timedelta(seconds=120),
}
_PIECE = 1 << 20  # bytes
_PREFIXES = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}  # of the variables of each kind of store
_METADATA_TIMEOUT = 2.0  # seconds
_OF_AWS = (  # variables that say where credentials are, or that none are needed
    "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_METADATA_ENDPOINT", "AWS_SKIP_SIGNATURE",
)  # fmt: skip

_FIXES = {
    "ExpiredToken": "Renew the credentials: their session has ended",
    "RequestTimeTooSkewed": "Set this machine's clock",
    "QuotaExceeded": "Free some space in the bucket, or raise its quota",
    "StorageFull": "Free some space in the store",
    "InsufficientStorage": "Free some space in the store",
    "NoSuchBucket": "Make the bucket, or correct its name",
    "ContainerNotFound": "Make the container, or correct its name",
}
_CODES = re.compile("|".join(_FIXES))
_CREDENTIALS = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
    ' (`eval "$(aws configure export-credentials --format env)"` sets those that the AWS CLI has)',
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account, or run"
    " `gcloud auth application-default login`",
    "az": "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_USE_AZURE_CLI=true after `az login`)",
}
_METADATA = "169.254.169.254"  # gives the credentials of a machine's role; asked if the environment has none
_CALL = re.compile(
    r"Error performing [A-Z]+ (?P<url>\S+) in .*?- (Server returned .*?code: )?(?P<answer>.*)", re.DOTALL
)
_NO_CREDENTIALS = "there are no credentials: the environment has none, and this machine has no role"
_XML = re.compile(r"(.*?): *<.*?<Code>(.*?)</Code>(?:.*?<Message>(.*?)</Message>)?", re.DOTALL)
_CAUSE = re.compile(r'message: "(.*?)"|"(dns error)"|(TimedOut)')


@dataclass(frozen=True, slots=True)
class Stat:
    """size: of an object, in bytes. version: its ETag, or the time when it was written."""

    size: int
    version: str


class Objects:
    """The objects below a URL. For many threads. Methods raise DiskError for whatever the store refuses.

    url: such as ``s3://bucket/prefix``. Raises UsageError, DiskError if it can't be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.store = _opened(self.url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def stat(self, key: str) -> Stat | None:
        """Size and version of an object, None if there is none."""
        with self.refusals(key):
            try:
                facts = obstore.head(self.store, key)
            except Absent:
                return None
            return Stat(facts["size"], facts["e_tag"] or str(facts["last_modified"]))

    def get(self, key: str) -> bytes | None:
        """The content of an object, None if there is none."""
        answer = self.get_version(key)
        return None if answer is None else answer[0]

    def get_version(self, key: str) -> tuple[bytes, Any] | None:
        """The content, and the mode of a put that replaces this content only; None if there is no such object."""
        with self.refusals(key):
            try:
                answer = obstore.get(self.store, key)
                conditions = {name: answer.meta[name] for name in ("e_tag", "version")}
                return bytes(answer.bytes()), {name: value for name, value in conditions.items() if value is not None}
            except Absent:
                return None

    def pieces(self, key: str, most: int) -> Iterator[bytes]:
        """The content in pieces. Raises KeyError if there is no such object, OverflowError for over ``most`` bytes."""
        with self.refusals(key):
            try:
                answer = obstore.get(self.store, key)
            except Absent:
                raise KeyError(key) from None
            if answer.meta["size"] > most:
                raise OverflowError(key)
            for piece in answer.stream(min_chunk_size=_PIECE):
                yield bytes(piece)

    def put_new(self, key: str, content: bytes, mime: str) -> bool:
        """Whether the object was created; False if there is one already, which stays as it is."""
        with self.refusals(key):
            try:
                obstore.put(self.store, key, content, mode="create", attributes={"Content-Type": mime})
            except exceptions.AlreadyExistsError:
                return False
            return True

    def link(self, key: str, seconds: float) -> str:
        """A pre-signed link, with which anybody can read the object for ``seconds``: a secret until then.

        Raises UsageError if the store has no such links.
        """
        if not isinstance(self.store, S3Store | GCSStore | AzureStore):
            raise UsageError(f"{self.url} can't give links", hint="Use s3://, gs:// or az://.")
        with self.refusals(key):
            return str(obstore.sign(self.store, "GET", key, timedelta(seconds=seconds)))

    def names(self, prefix: str) -> list[str]:
        """The names of the objects in the folder ``prefix``."""
        with self.refusals(prefix):
            return [meta["path"] for page in obstore.list(self.store, prefix) for meta in page]

    def delete(self, key: str) -> None:
        """Deletes an object, if there is one."""
        with self.refusals(key), suppress(*Absent):
            obstore.delete(self.store, key)

    @contextmanager
    def refusals(self, key: str) -> Iterator[None]:
        """What the store refuses inside becomes a DiskError that names the object and says what to do."""
        try:
            yield
        except BatcherError:
            raise
        except (exceptions.BaseError, OSError, ValueError) as error:
            raise self._refused(key, error) from None

    def _refused(self, key: str, error: Exception) -> DiskError:
        return DiskError(
            f"{self.url}/{one_line(key, 120)}: {one_line(_reason(error), 240)}",
            hint=f"{_fix(error, self.url)}, and run the same command again. What is saved stays saved, nothing is paid"
            " twice.",
        )


def _can_have_credentials(url: str) -> None:
    """Raises DiskError at once if there are none: a client would ask for the machine's role for a minute."""
    if any(map(os.environ.get, _OF_AWS)):
        return
    try:
        socket.create_connection((_METADATA, 80), _METADATA_TIMEOUT).close()
    except OSError:
        raise DiskError(f"{url}: {_NO_CREDENTIALS}", hint=f"{_CREDENTIALS['s3']}, and run it again.") from None


def _opened(url: str) -> ObjectStore:
    if url.startswith("file://"):
        try:
            return LocalStore(Path(url.removeprefix("file://")), mkdir=True)
        except (OSError, exceptions.BaseError) as error:
            raise DiskError(f"{url}: {error}", hint="Make that folder, or give another place.") from None
    if url.startswith("s3://"):
        _can_have_credentials(url)
    allow = f"{_PREFIXES.get(url.partition(':')[0], '')}_ALLOW_HTTP"
    options: Any = {"allow_http": os.environ.get(allow, "").lower() in {"1", "true"}}
    try:
        return from_url(url, retry_config=_RETRIES, client_options=options)
    except (exceptions.BaseError, ValueError) as error:
        raise UsageError(
            f"{url}: {one_line(_reason(error), 200)}", hint=f"{_CREDENTIALS[url.partition(':')[0]]}."
        ) from None


def _reason(error: Exception) -> str:
    """What the store answered, or why it did not answer; without the URL, which the message has already."""
    text, _, details = str(error).partition("\n\nDebug source")
    call = _CALL.search(text)
    if call is None:
        return text.partition("\n")[0]
    host = urlsplit(call["url"]).netloc
    if host == _METADATA:
        return _NO_CREDENTIALS
    if call["answer"].startswith("HTTP error"):
        cause = _CAUSE.search(details)
        return f"{host} can't be reached ({next(filter(None, cause.groups())) if cause else call['answer']})"
    xml = _XML.match(call["answer"])
    return ": ".join(filter(None, xml.groups())) if xml else call["answer"].partition("\n")[0]


def _fix(error: Exception, url: str) -> str:
    """What a person can do: by the store's own code if it says more than the kind of the error."""
    text = str(error)
    if f"//{_METADATA}/" in text:
        return _CREDENTIALS[url.partition(":")[0]]
    if match := _CODES.search(text):
        return _FIXES[match[0]]
    if isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
        return "Renew the credentials, or let them read and write"
    if isinstance(error, exceptions.NotFoundError | FileNotFoundError):
        return "Make the bucket, or correct its name"
    return "Check the network, the endpoint and the room there"
