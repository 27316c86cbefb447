"""A registry, as the OCI distribution specification 1.1 has it: manifests, blobs, uploads."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit

from holdfast.model import Clock
from holdfast.systems.files.images.auth import Credentials, RegistrySettings
from holdfast.systems.files.images.errors import BlobWrong, ImageMissing, PushRefused, RegistryUnreachable
from holdfast.systems.files.images.manifest import ACCEPTED, MOST_BYTES
from holdfast.systems.files.images.transport import BROKEN, TIMEOUT_S, TRIES, Answer, Body, Transport


@dataclass(frozen=True, slots=True)
class Fetched:
    """A manifest's bytes as the registry has them, and what they are."""

    data: bytes
    media_type: str
    digest: str


class Registry:
    """One registry. Safe from many threads."""

    def __init__(self, settings: RegistrySettings, clock: Clock, *, timeout: float = TIMEOUT_S, tries: int = TRIES) -> None:
        self.settings = settings
        self._transport = Transport(clock, ca=settings.ca, timeout=timeout, tries=tries)
        self._credentials = Credentials(settings, self._transport, clock)

    # ------------------------------------------------------------ reading

    def manifest(self, repository: str, wanted: str) -> Fetched:
        """``wanted``: a tag or a digest. Raises ImageMissing, BlobWrong, RegistryDenied, RegistryUnreachable."""
        with self._ask("GET", repository, f"manifests/{wanted}", {"Accept": ", ".join((*ACCEPTED, "*/*"))}) as answer:
            if answer.status == 404:
                raise self._missing(repository, wanted)
            self._expect(answer, 200)
            try:
                data = answer.read(MOST_BYTES + 1)
            except BROKEN as error:
                raise RegistryUnreachable(f"The manifest of {repository} broke off: {error}.", hint="Try again.") from None
            media_type = answer.headers.get("content-type", "")
            said = answer.headers.get("docker-content-digest", "")
        expected = wanted if ":" in wanted else said
        algorithm = expected.partition(":")[0] if expected.startswith(("sha256:", "sha512:")) else "sha256"
        digest = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
        if expected and digest != expected:
            raise BlobWrong(
                f"The manifest {wanted} of {self.settings.host}/{repository} has the digest {digest}, expected {expected}.",
                hint="The registry's data is damaged, or something on the way changes it.",
            )
        return Fetched(data, media_type, digest)

    def has_manifest(self, repository: str, wanted: str) -> str | None:
        """The digest under a tag or digest; None when there is none."""
        with self._ask("HEAD", repository, f"manifests/{wanted}", {"Accept": ", ".join(ACCEPTED)}) as answer:
            if answer.status == 404:
                return None
            self._expect(answer, 200)
            return answer.headers.get("docker-content-digest") or (wanted if ":" in wanted else "")

    def blob(self, repository: str, digest: str, offset: int = 0) -> Answer:
        """The bytes of a blob from ``offset`` on: status 206, or 200 and all of it where the store cannot skip. Raises ImageMissing."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        answer = self._ask("GET", repository, f"blobs/{digest}", headers)
        if answer.status == 404:
            answer.close()
            raise self._missing(repository, digest)
        if answer.status == 206 and not answer.headers.get("content-range", "").startswith(f"bytes {offset}-"):
            answer.close()
            raise RegistryUnreachable(
                f"{self.settings.host} answered with another range of {digest}.", hint="Look at the registry's storage."
            )
        if answer.status not in (200, 206):
            with answer:
                self._expect(answer, 200)
        return answer

    def has_blob(self, repository: str, digest: str) -> bool:
        with self._ask("HEAD", repository, f"blobs/{digest}") as answer:
            if answer.status != 404:
                self._expect(answer, 200)
            return answer.status == 200

    def ping(self) -> None:
        """Whether it is there and lets one in. Raises RegistryDenied, RegistryUnreachable."""
        with self._ask("GET", "", "") as answer:
            self._expect(answer, 200)

    # ------------------------------------------------------------ writing

    def mount(self, repository: str, digest: str, other: str) -> str | None:
        """Take a blob over from another repository of the same registry: None when that was done, else where to upload it."""
        query = {"mount": digest, "from": other} if other else {}
        scope = f"repository:{repository}:pull,push" + (f" repository:{other}:pull" if other else "")
        with self._ask("POST", repository, f"blobs/uploads/{'?' + urlencode(query) if query else ''}", scope=scope, body=b"") as answer:
            if answer.status == 201:
                return None
            self._expect(answer, 202)
            return self._there(answer)

    def upload(self, repository: str, location: str, digest: str, body: Body, size: int) -> None:
        """One PUT of the whole blob. Raises PushRefused, RegistryUnreachable."""
        url = f"{location}{'&' if '?' in location else '?'}{urlencode({'digest': digest})}"
        with self._send("PUT", url, {}, f"repository:{repository}:pull,push", body, size) as answer:
            if answer.status not in (201, 204):
                raise self._refused(answer, f"{repository}@{digest}")

    def put_manifest(self, repository: str, name: str, data: bytes, media_type: str) -> None:
        """``name``: a tag or the digest. Raises PushRefused, RegistryUnreachable."""
        scope = f"repository:{repository}:pull,push"
        with self._ask("PUT", repository, f"manifests/{name}", {"Content-Type": media_type}, scope=scope, body=data) as answer:
            if answer.status != 201:
                raise self._refused(answer, f"{repository}:{name}")

    # ------------------------------------------------------------ requests

    def _ask(
        self,
        method: str,
        repository: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        scope: str = "",
        body: Body | bytes | None = None,
    ) -> Answer:
        url = f"{self.settings.url}/v2/{repository}{'/' if repository else ''}{path}"
        length = len(body) if isinstance(body, bytes) else None
        return self._send(method, url, headers or {}, scope or f"repository:{repository}:pull", body, length)

    def _send(self, method: str, url: str, headers: Mapping[str, str], scope: str, body: Body | bytes | None, length: int | None) -> Answer:
        """With credentials once they are asked for. Raises RegistryDenied."""
        for _ in range(3):
            answer = self._transport.request(method, url, {**headers, **self._credentials.header(scope)}, body=body, length=length)
            if answer.status != 401:
                break
            with answer:
                again = self._credentials.answer(answer, scope)
            if not again:
                break
        if answer.status in (401, 403):
            answer.close()
            raise self._credentials.denied(f"{method} {urlsplit(url).path} answered {answer.status}")
        return answer

    def _expect(self, answer: Answer, status: int) -> None:
        if answer.status != status:
            raise RegistryUnreachable(
                f"{self.settings.host} answered {answer.status} to {urlsplit(answer.url).path}{_told(answer)}.",
                hint="Look at the registry.",
            )

    def _missing(self, repository: str, wanted: str) -> ImageMissing:
        return ImageMissing(
            f"{self.settings.host}/{repository} has no {wanted}.",
            hint="Correct the plan, or push it again; earlier points keep what they have.",
        )

    def _refused(self, answer: Answer, what: str) -> PushRefused:
        return PushRefused(
            f"{self.settings.host} does not take {what}: status {answer.status}{_told(answer)}.",
            hint="Look at the registry's rules (quota, immutable tags, what it lets one push).",
        )

    def _there(self, answer: Answer) -> str:
        """An upload's address: on the registry itself, for credentials go there."""
        found = urljoin(answer.url, answer.headers.get("location", ""))
        here, there = urlsplit(self.settings.url), urlsplit(found)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise RegistryUnreachable(
                f"{self.settings.host} wants uploads at {there.scheme}://{there.netloc}, another place.",
                hint="Set the registry's own address in its configuration (http.host).",
            )
        return found


def _told(answer: Answer) -> str:
    """The registry's own words for an error, if it has some."""
    try:
        document = json.loads(answer.read(1 << 16))
        errors = document["errors"] if isinstance(document, dict) else []
        words = [f"{one.get('code', '')}: {one.get('message', '')}" for one in errors if isinstance(one, dict)]
    except (*BROKEN, ValueError, KeyError, TypeError, RecursionError):
        return ""
    shown = "; ".join(words)[:300]
    return f" ({shown})" if shown.isprintable() and shown else ""
