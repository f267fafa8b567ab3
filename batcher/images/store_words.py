"""What a store answered or why it did not, and what to do about it, in words."""

import re
from urllib.parse import urlsplit

from obstore import exceptions

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
CREDENTIALS = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
    ' (`eval "$(aws configure export-credentials --format env)"` sets those that the AWS CLI has)',
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account, or run"
    " `gcloud auth application-default login`",
    "az": "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_USE_AZURE_CLI=true after `az login`)",
}
METADATA = "169.254.169.254"  # who is asked for the credentials of a machine's role, where the environment has none
_CALL = re.compile(
    r"Error performing [A-Z]+ (?P<url>\S+) in .*?- (Server returned .*?code: )?(?P<answer>.*)", re.DOTALL
)
NO_CREDENTIALS = "there are no credentials: the environment has none, and this machine has no role"
_XML = re.compile(r"(.*?): *<.*?<Code>(.*?)</Code>(?:.*?<Message>(.*?)</Message>)?", re.DOTALL)
_CAUSE = re.compile(r'message: "(.*?)"|"(dns error)"|(TimedOut)')


def reason(error: Exception) -> str:
    """What the store answered, or why it did not; without the URL, which the message has already."""
    text, _, details = str(error).partition("\n\nDebug source")
    call = _CALL.search(text)
    if call is None:
        return text.partition("\n")[0]
    host = urlsplit(call["url"]).netloc
    if host == METADATA:
        return NO_CREDENTIALS
    if call["answer"].startswith("HTTP error"):
        cause = _CAUSE.search(details)
        return f"{host} can't be reached ({next(filter(None, cause.groups())) if cause else call['answer']})"
    said = _XML.match(call["answer"])
    return ": ".join(filter(None, said.groups())) if said else call["answer"].partition("\n")[0]


def fix(error: Exception, url: str) -> str:
    """By the store's own code where it says more than the kind of the error."""
    text = str(error)
    if f"//{METADATA}/" in text:
        return CREDENTIALS[url.partition(":")[0]]
    if match := _CODES.search(text):
        return _FIXES[match[0]]
    if isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError):
        return "Renew the credentials, or let them read and write"
    if isinstance(error, exceptions.NotFoundError | FileNotFoundError):
        return "Make the bucket, or correct its name"
    return "Check the network, the endpoint and the room there"
