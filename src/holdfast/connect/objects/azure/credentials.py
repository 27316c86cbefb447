"""Who asks, for Azure: an account's key, a shared access signature, or an application of Entra ID.

learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key (version 2015-02-21 and later).
"""

import binascii
import email.utils
import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from holdfast.connect.objects.errors import StoreDenied
from holdfast.connect.objects.google.tokens import Renewing, asked
from holdfast.connect.objects.open import Options
from holdfast.model import Clock

VERSION = "2021-12-02"
_SLOTS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
_HINT = (
    "Give credentials in the plan: {account_name: NAME, account_key: {env: NAME}} or sas_token; or set AZURE_STORAGE_ACCOUNT_NAME and _KEY."
)


@dataclass(frozen=True, slots=True)
class Account:
    """``endpoint`` ends where the container begins. ``shared`` holds the parts of a shared access signature, decoded."""

    name: str
    endpoint: str
    key: bytes = field(default=b"", repr=False)
    shared: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: Callable[[], str] | None = field(default=None, repr=False)

    def signed(
        self, clock: Clock, method: str, path: str, query: Mapping[str, str], headers: dict[str, str], length: int
    ) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Headers and query to send; ``path`` encoded, names of ``headers`` in lower case."""
        date = email.utils.format_datetime(clock.now(), usegmt=True)
        given = {**headers, "x-ms-version": VERSION, "x-ms-date": date}
        if self.shared:
            return given, {**query, **self.shared}
        if self.token is not None:
            return {**given, "authorization": f"Bearer {self.token()}"}, query
        if self.key:
            given["authorization"] = f"SharedKey {self.name}:{signature(self.key, self.name, method, path, query, given, length)}"
        return given, query


def signature(key: bytes, account: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], length: int) -> str:
    """In base64, of a request as it is sent; the values of ``query`` decoded."""
    slots = {**headers, "content-length": str(length) if length else ""}
    lines = [method, *(slots.get(name, "") for name in _SLOTS)]
    lines += [f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers) if name.startswith("x-ms-")]
    lines.append(f"/{account}{path}")
    lines += [f"{name.lower()}:{query[name]}" for name in sorted(query, key=str.lower)]
    return b64encode(hmac.digest(key, "\n".join(lines).encode("utf-8", "surrogateescape"), "sha256")).decode()


def account(options: Options, clock: Clock) -> Account:
    """Given, else of the environment as Azure's own tools find it. Raises StoreDenied."""
    given = {**({} if _says(options.credentials) else _environment()), **{k: v for k, v in options.credentials.items() if v}}
    name = given.get("account_name", "")
    endpoint = options.endpoint or given.get("endpoint") or (f"https://{name}.blob.core.windows.net" if name else "")
    if not name and not (given.get("sas_token") and endpoint):
        raise StoreDenied("No account of Azure Blob Storage is named.", hint=_HINT)
    endpoint = endpoint.rstrip("/")
    if given.get("sas_token"):
        shared = dict(parse_qsl(given["sas_token"].strip().removeprefix("?"), keep_blank_values=True))
        if "sig" not in shared:
            raise StoreDenied("The shared access signature for Azure has no signature (sig).", hint=_HINT)
        return Account(name, endpoint, shared=shared)
    if given.get("account_key"):
        try:
            return Account(name, endpoint, b64decode(given["account_key"].strip(), validate=True))
        except (binascii.Error, ValueError):
            raise StoreDenied(f"The key of the account {name} is no base64.", hint=_HINT) from None
    if given.get("client_secret"):
        return Account(name, endpoint, token=_application(given, clock))
    raise StoreDenied(f"No credentials for the account {name} of Azure Blob Storage were found.", hint=_HINT)


def _says(given: Mapping[str, str]) -> bool:
    """Whether the plan says by what to prove who asks: then the environment has no say."""
    return any(given.get(name) for name in ("account_key", "sas_token", "client_secret"))


def _environment() -> Mapping[str, str]:
    known = os.environ
    found = {
        "account_name": known.get("AZURE_STORAGE_ACCOUNT_NAME") or known.get("AZURE_STORAGE_ACCOUNT"),
        "account_key": known.get("AZURE_STORAGE_ACCOUNT_KEY") or known.get("AZURE_STORAGE_KEY"),
        "sas_token": known.get("AZURE_STORAGE_SAS_TOKEN"),
        "tenant_id": known.get("AZURE_TENANT_ID"),
        "client_id": known.get("AZURE_CLIENT_ID"),
        "client_secret": known.get("AZURE_CLIENT_SECRET"),
    }
    parts = dict(one.partition("=")[::2] for one in known.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";") if one)
    for name, theirs in (("account_name", "AccountName"), ("account_key", "AccountKey"), ("sas_token", "SharedAccessSignature")):
        found[name] = found[name] or parts.get(theirs)
    if parts.get("BlobEndpoint"):
        found["endpoint"] = parts["BlobEndpoint"]
    elif parts.get("EndpointSuffix") and parts.get("AccountName"):
        found["endpoint"] = f"https://{parts['AccountName']}.blob.{parts['EndpointSuffix']}"
    return {name: value for name, value in found.items() if value}


def _application(given: Mapping[str, str], clock: Clock) -> Callable[[], str]:
    tenant, client = given.get("tenant_id", ""), given.get("client_id", "")
    if not tenant or not client:
        raise StoreDenied("An application of Entra ID needs tenant_id and client_id beside client_secret.", hint=_HINT)
    uri = f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": given["client_secret"]}
    form["scope"] = "https://storage.azure.com/.default"
    return Renewing(lambda: asked(uri, form, f"the application {client}"), clock)
