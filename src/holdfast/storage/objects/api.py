"""The S3 calls that obstore does not make (versions, locks, a bucket's settings), by boto3."""

import threading
import weakref
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from holdfast.errors import MissingExtra
from holdfast.storage.contract import StorageDenied
from holdfast.storage.objects.clients import place_of


class ApiError(Exception):
    """The store refused a call, or did not answer. ``code``: S3's own word for it; the class of the error where there was no answer."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        answer = getattr(error, "response", None)
        self.code = str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else type(error).__name__


class _Calls:
    """boto3's client, whose own errors come as ApiError."""

    def __init__(self, client: Any, errors: tuple[type[Exception], ...]) -> None:
        self._client, self._errors = client, errors

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        def asked(**arguments: Any) -> Any:
            try:
                return call(**arguments)
            except self._errors as error:
                raise ApiError(error) from error

        return asked


class Api:
    """``once`` never repeats a call by itself, as a conditional put demands; ``again`` does. Both are made when first used; thread-safe."""

    def __init__(self, bucket: str, options: Mapping[str, Any]) -> None:
        self.bucket = bucket
        self._options = options
        self._lock = threading.Lock()
        self._made: list[Any] = []
        # Whoever forgets to close still leaves no open connections behind.
        weakref.finalize(self, _close, self._made)

    @cached_property
    def once(self) -> Any:
        return self._make(1)

    @cached_property
    def again(self) -> Any:
        return self._make(5)

    def close(self) -> None:
        with self._lock:
            _close(self._made)
            for name in ("once", "again"):
                self.__dict__.pop(name, None)

    def _make(self, attempts: int) -> Any:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise MissingExtra("s3", "A bucket with versions or object lock") from None
        place = place_of(self._options)
        given = dict(self._options.get("credentials") or {})
        with self._lock:  # sessions are not thread-safe while they make a client
            try:
                session = boto3.session.Session(profile_name=given.get("profile"))
            except BotoCoreError as error:
                raise StorageDenied(
                    f"The AWS profile {given.get('profile')!r} cannot be used: {error}",
                    hint="See ~/.aws/config.",
                    profile=given.get("profile"),
                ) from error
            made = session.client(
                "s3",
                region_name=place.region,
                endpoint_url=place.endpoint,
                verify=place.ca or True,
                aws_access_key_id=given.get("access_key_id"),
                aws_secret_access_key=given.get("secret_access_key"),
                aws_session_token=given.get("session_token"),
                config=Config(
                    s3={"addressing_style": "path" if place.path_style else "auto"},
                    retries={"total_max_attempts": attempts, "mode": "standard"},
                    connect_timeout=10,
                    read_timeout=60,
                    max_pool_connections=32,
                ),
            )
            self._made.append(made)
        return _Calls(made, (BotoCoreError, ClientError))


def _close(made: list[Any]) -> None:
    while made:
        made.pop().close()
