"""Makes obstore's clients from a location's options: endpoint, region, credentials, TLS."""

import datetime as dt
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obstore.store import S3Store

from holdfast.errors import MissingExtra
from holdfast.storage.contract import StorageDenied

Store = S3Store

CONNECT = 10.0
CONNECT_BRIEF = 4.0
READ_TIMEOUT = dt.timedelta(seconds=60)
"""Between two pieces of an answer; a whole 64 MiB pack may take longer on a thin line."""


@dataclass(frozen=True, slots=True)
class Client:
    """``put`` never repeats by itself (a repeated conditional put cannot tell its own object from another's); ``read`` does.

    ``address`` answers any HTTP request with the store's time in its Date header, within ``seconds``. ``ca`` is a PEM file or None.
    """

    put: Store
    read: Store
    address: str
    ca: str | None
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where an S3 store answers; ``endpoint`` None is Amazon's own. ``path_style``: the bucket stands in the path."""

    endpoint: str | None
    region: str
    path_style: bool
    ca: str | None


def place_of(options: Mapping[str, Any]) -> Place:
    """Out of a location's options and the usual environment variables."""
    endpoint = options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    region = options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    ca = (options.get("tls") or {}).get("ca")
    return Place(endpoint, region, bool(endpoint), str(ca) if ca else None)


def s3(bucket: str, options: Mapping[str, Any]) -> Client:
    """Amazon S3 or a compatible store. Credentials: given, of a profile (by boto3), else of the environment, else the machine's role."""
    place = place_of(options)
    endpoint, region = place.endpoint, place.region
    config: Any = {"region": region}
    if endpoint:
        config["endpoint"] = endpoint
        config["virtual_hosted_style_request"] = False
    given = dict(options.get("credentials") or {})
    profile = given.pop("profile", None)
    config.update({"token" if key == "session_token" else key: value for key, value in given.items() if value})
    extra: dict[str, Any] = {}
    if profile or ("access_key_id" not in config and "AWS_ACCESS_KEY_ID" not in os.environ and os.environ.get("AWS_PROFILE")):
        extra["credential_provider"] = _profile(profile)
    client, ca = _client_options(endpoint or "", options)

    def make(retries: int) -> Store:
        return S3Store(bucket, config=config, client_options=client, retry_config=_retry(retries), **extra)

    return _client(make, endpoint or f"https://s3.{region}.amazonaws.com", ca, options)


def _client(make: Callable[[int], Store], address: str, ca: str | None, options: Mapping[str, Any]) -> Client:
    if options.get("brief"):
        return Client(make(0), make(0), address, ca, CONNECT_BRIEF)
    return Client(make(0), make(3), address, ca)


def _retry(retries: int) -> Any:
    return {"max_retries": retries, "retry_timeout": dt.timedelta(seconds=30)}


def _client_options(endpoint: str, options: Mapping[str, Any]) -> tuple[Any, str | None]:
    client: dict[str, Any] = {
        "connect_timeout": dt.timedelta(seconds=CONNECT_BRIEF if options.get("brief") else CONNECT),
        "timeout": dt.timedelta(minutes=10),
        "read_timeout": READ_TIMEOUT,
    }
    if endpoint.startswith("http://"):
        client["allow_http"] = True
    ca = (options.get("tls") or {}).get("ca")
    if ca:
        try:
            client["root_certificate"] = Path(ca).read_bytes()
        except OSError as error:
            raise StorageDenied(
                f"The CA file {ca} cannot be read: {error.strerror}.", hint="Name a readable PEM file.", ca=str(ca)
            ) from error
    return client, str(ca) if ca else None


def _profile(name: str | None) -> Callable[[], Any]:
    """Credentials of a named profile. obstore does not read AWS's files, so boto3 does."""
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise MissingExtra("s3", "A named AWS profile") from None
    try:
        credentials = boto3.session.Session(profile_name=name).get_credentials()
    except BotoCoreError as error:
        raise StorageDenied(f"The AWS profile {name!r} cannot be used: {error}", hint="See ~/.aws/config.", profile=name) from error
    if credentials is None:
        raise StorageDenied(f"The AWS profile {name!r} holds no credentials.", hint="See ~/.aws/credentials.", profile=name)

    def provide() -> Any:
        frozen = credentials.get_frozen_credentials()
        # Temporary ones are asked for again well before they end; boto3 renews them by itself.
        expires = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5) if frozen.token else None
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": expires,
        }

    return provide
