"""An object store as a location: conditional put (If-None-Match), ranged get, ordered listing."""

import datetime as dt
import email.utils
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import ClassVar, NoReturn

import obstore
from obstore import exceptions as said

from holdfast.storage.contract import (
    Buffer,
    Capabilities,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    StorageDenied,
    StorageUnreachable,
    StorageUntrusted,
)
from holdfast.storage.names import before, check_name, common
from holdfast.storage.objects.api import ApiError
from holdfast.storage.objects.clients import Client

_SKEWED = "RequestTimeTooSkewed"
_ALONE = "Unable to locate credentials"
_REFUSED = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "NoSuchBucket", "InvalidBucketName", "401", "403"})
_ANSWER = re.compile(r"status code: (\d{3})\b")
_CODE = re.compile(r"<Code>(\w+)</Code>")
# As the library shows its error's parts; an address in the text is encoded and holds no blank.
_UNTRUSTED = re.compile(r"\berror: InvalidCertificate\( (\w+)")


class ObjectStorage:
    """``url`` names the location in messages; ``prefix`` (without slashes at its ends) is the folder inside the bucket."""

    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init__(self, client: Client, url: str, prefix: str) -> None:
        self.url = url
        self._client = client
        self._folder = f"{prefix}/" if prefix else ""

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        key = self._folder + check_name(name)
        body = b"".join(parts)
        try:
            obstore.put(self._client.put, key, body, mode="create", use_multipart=False)
        except said.AlreadyExistsError:
            raise ObjectExists(name) from None
        except (said.BaseError, OSError) as error:
            try:
                if self.get(name) == body:
                    return
            except (ObjectMissing, StorageUnreachable, StorageDenied):
                pass
            self._fail(error, name)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        key = self._folder + check_name(name)
        try:
            if start == 0 and length is None:
                return obstore.get(self._client.read, key).bytes().to_bytes()
            size = obstore.head(self._client.read, key)["size"] if length is None or length == 0 else None
            if length == 0 or (size is not None and start >= size):
                return b""
            end = size if size is not None else start + (length or 0)
            return obstore.get_range(self._client.read, key, start=start, end=end).to_bytes()
        except FileNotFoundError:
            raise ObjectMissing(f"There is no {name} in {self.url}.", hint="Run 'holdfast vault check'.", name=name, url=self.url) from None
        except (said.BaseError, OSError) as error:
            if start and length and (found := self.head(name)) is not None and start >= found.size:
                return b""
            self._fail(error, name)

    def head(self, name: str) -> ObjectInfo | None:
        try:
            meta = obstore.head(self._client.read, self._folder + check_name(name))
        except FileNotFoundError:
            return None
        except (said.BaseError, OSError) as error:
            self._fail(error, name)
        return ObjectInfo(name, meta["size"], meta["last_modified"])

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        if prefix:
            check_name(f"{prefix}x")
        # The library takes whole folders as prefixes only; the offset brings us near, the loop ends behind.
        offset = max(after, before(prefix[len(common(prefix)) :]) and before(prefix))
        try:
            for page in obstore.list(
                self._client.read, self._folder + common(prefix), offset=self._folder + offset if offset else None, chunk_size=1000
            ):
                for meta in page:
                    name = meta["path"][len(self._folder) :]
                    if name > after and name.startswith(prefix):
                        yield ObjectInfo(name, meta["size"], meta["last_modified"])
                    elif name > prefix and not name.startswith(prefix):
                        return
        except (said.BaseError, OSError) as error:
            self._fail(error, prefix)

    def folders(self, prefix: str) -> Iterator[str]:
        if prefix:
            check_name(f"{prefix}x")
        try:
            found = obstore.list_with_delimiter(self._client.read, self._folder + prefix)["common_prefixes"]
        except (said.BaseError, OSError) as error:
            self._fail(error, prefix)
        yield from sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def delete(self, name: str) -> None:
        try:
            obstore.delete(self._client.read, self._folder + check_name(name))
        except FileNotFoundError:
            return
        except (said.BaseError, OSError) as error:
            self._fail(error, name)

    def now(self) -> dt.datetime:
        """The Date header of any answer, also of a refusal; whole seconds."""
        request = urllib.request.Request(self._client.address, method="HEAD")  # noqa: S310 - the plan's own endpoint
        context = ssl.create_default_context(cafile=self._client.ca) if self._client.address.startswith("https") else None
        try:
            with urllib.request.urlopen(request, timeout=self._client.seconds, context=context) as answer:  # noqa: S310
                date = answer.headers["Date"]
        except urllib.error.HTTPError as error:
            date = error.headers["Date"]
            error.close()
        except OSError as error:
            self._fail(error, "its clock")
        if not date:
            raise StorageUnreachable(f"{self.url} answered without its time.", hint="Look at the endpoint.", url=self.url)
        return email.utils.parsedate_to_datetime(date)

    def close(self) -> None:
        pass

    def _fail(self, error: Exception, what: str) -> NoReturn:
        whole, _, shown = " ".join(str(error).split()).partition(" Debug source:")  # the library tells all of it twice
        untrusted = _untrusted(error, shown)
        if untrusted is not None:
            # Asking again would not make it right.
            raise StorageUntrusted(
                f"{self.url} is not trusted: {untrusted}.",
                hint="Name the PEM file of its authority (tls: {ca: …}), or set its certificate right.",
                url=self.url,
                name=what,
            ) from error
        # Only what the store answered counts: names, addresses and times in the text hold any digits by chance.
        answered = {error.code} if isinstance(error, ApiError) else {*_ANSWER.findall(whole), *_CODE.findall(whole)}
        details = {"url": self.url, "name": what}
        if _SKEWED in answered:
            raise StorageDenied(
                f"{self.url} refused {what}: this host's clock and the store's differ too much.",
                hint="Set this host's clock by NTP. 'holdfast check' tells how far it is off.",
                **details,
            ) from error
        short = whole[:400]
        denied = isinstance(error, said.PermissionDeniedError | said.UnauthenticatedError | PermissionError)
        if denied or answered & _REFUSED or _ALONE in whole:
            raise StorageDenied(
                f"{self.url} refused {what}: {short}",
                hint="Look at the bucket's name, the credentials and what they allow (list, read, write, delete).",
                **details,
            ) from error
        raise StorageUnreachable(
            f"{self.url} failed at {what}: {short}", hint="Look at the endpoint and the network.", **details
        ) from error


def _untrusted(error: Exception, shown: str) -> str | None:
    """What is wrong with the certificate of who answered, or None. ``shown``: the library's error with its parts."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return reason.verify_message
    found = _UNTRUSTED.search(shown)
    return f"its certificate is refused ({found.group(1)})" if found else None
