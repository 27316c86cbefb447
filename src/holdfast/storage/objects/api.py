"""The S3 calls that obstore does not make (versions, locks, a bucket's settings), by boto3."""

import threading
import weakref
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from holdfast.errors import MissingExtra
from holdfast.storage.objects.clients import place_of

try:
    from botocore.exceptions import BotoCoreError, ClientError

    ApiError: tuple[type[Exception], ...] = (BotoCoreError, ClientError)
except ImportError:  # without the extra nothing here is ever called
    ApiError = ()


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

    @staticmethod
    def code(error: Exception) -> str:
        """S3's own word for what is wrong; the class of the error where the store did not answer."""
        answer = getattr(error, "response", None)
        return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else type(error).__name__

    def close(self) -> None:
        with self._lock:
            _close(self._made)
            for name in ("once", "again"):
                self.__dict__.pop(name, None)

    def _make(self, attempts: int) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise MissingExtra("s3", "A bucket with versions or object lock") from None
        place = place_of(self._options)
        given = dict(self._options.get("credentials") or {})
        with self._lock:  # sessions are not thread-safe while they make a client
            session = boto3.session.Session(profile_name=given.get("profile"))
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
        return made


def _close(made: list[Any]) -> None:
    while made:
        made.pop().close()
