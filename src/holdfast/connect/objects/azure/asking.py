"""One request to Azure Blob Storage, with who asks."""

from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

from holdfast.connect.objects.azure.credentials import account
from holdfast.connect.objects.calling import Caller
from holdfast.connect.objects.open import Options
from holdfast.connect.objects.sign import encoded_query
from holdfast.connect.objects.transport import Answer, Buffer
from holdfast.connect.objects.xml import error_code
from holdfast.model import Clock

_GONE = frozenset({"BlobNotFound", "ResourceNotFound", "SnapshotNotFound", "VersionNotFound", ""})
_CHANGED = frozenset({"ConditionNotMet", "BlobAlreadyExists", "InvalidRange", "TargetConditionNotMet"})
_ARCHIVED = frozenset({"BlobArchived", "BlobBeingRehydrated"})
_PASSING = frozenset({"ServerBusy", "OperationTimedOut", "InternalError", "Md5Mismatch"})
_ACCOUNT = frozenset(
    {"AuthenticationFailed", "AccountIsDisabled", "AuthorizationFailure", "AuthorizationSourceIPMismatch", "InvalidAuthenticationInfo"}
)


class AzureCaller(Caller):
    """Of one container. ``root`` is the account's path, ``base`` the container's; both encoded, without a slash at the end."""

    def __init__(self, container: str, options: Options, clock: Clock, note: Callable[[str], None] | None = None) -> None:
        self._account = account(options, clock)
        parts = urlsplit(self._account.endpoint)
        super().__init__(f"az://{container}", f"{parts.scheme}://{parts.netloc}", options, clock, note)
        self._server = f"{parts.scheme}://{parts.netloc}"
        self.root = parts.path.rstrip("/") or "/"
        self.base = f"{parts.path.rstrip('/')}/{quote(container, safe='$')}"

    def address(self, path: str) -> str:
        """The whole address of something that the store itself is to read."""
        text = encoded_query(self._account.shared)
        return f"{self._server}{path}?{text}" if text else f"{self._server}{path}"

    def _signed(
        self, method: str, path: str, query: Mapping[str, str], headers: dict[str, str], body: Buffer | None
    ) -> tuple[Mapping[str, str], Mapping[str, str]]:
        return self._account.signed(self.clock, method, path, query, headers, 0 if body is None else len(body))

    def _said(self, answer: Answer) -> tuple[str, str]:
        code, message = error_code(answer.body.removeprefix(b"\xef\xbb\xbf"))
        # Behind its sentence stand an id and a time that say nothing to who reads it.
        return answer.headers.get("x-ms-error-code") or code, message.partition("\n")[0]

    def _kind(self, status: int, code: str, key: str | None) -> str:
        if code in _PASSING:
            return "again"
        if code in _CHANGED:
            return "changed"
        if code in _ARCHIVED:
            return "archived"
        if key is None:
            return ""
        if status == 404:
            return "gone" if code in _GONE else ""
        if status == 412 and code == "":
            return "changed"
        return "object" if status in (403, 409, 412) and code not in _ACCOUNT and not code.startswith("Container") else ""

    def _hint(self, code: str) -> str:
        if code in ("AuthenticationFailed", "AuthorizationFailure"):
            return "Look at the account's name and key (or signature), from where it may be asked, and at this host's clock."
        return super()._hint(code)
