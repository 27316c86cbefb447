"""Credentials of S3: given, of a profile, of the environment, or of the machine's role."""

import os
from collections.abc import Callable, Mapping

from holdfast.connect.objects.errors import StoreDenied
from holdfast.connect.objects.sign import Credentials
from holdfast.errors import MissingExtra


def provider(given: Mapping[str, str]) -> Callable[[], Credentials]:
    """Asked for each request: temporary credentials are renewed by themselves. Raises StoreDenied, MissingExtra."""
    if given.get("access_key_id"):
        fixed = Credentials(given["access_key_id"], given.get("secret_access_key", ""), given.get("session_token") or None)
        return lambda: fixed
    profile = given.get("profile") or os.environ.get("AWS_PROFILE")
    if not given.get("profile") and os.environ.get("AWS_ACCESS_KEY_ID"):
        known = os.environ
        fixed = Credentials(known["AWS_ACCESS_KEY_ID"], known.get("AWS_SECRET_ACCESS_KEY", ""), known.get("AWS_SESSION_TOKEN") or None)
        return lambda: fixed
    return _chain(profile)


def _chain(profile: str | None) -> Callable[[], Credentials]:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise MissingExtra("s3", "Credentials that are not given in the plan or the environment") from None
    try:
        found = boto3.session.Session(profile_name=profile).get_credentials()
    except BotoCoreError as error:
        raise StoreDenied(f"The AWS profile {profile!r} cannot be used: {error}", hint="See ~/.aws/config.") from error
    if found is None:
        raise StoreDenied(
            "No credentials for S3 were found.", hint="Give credentials in the plan, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )

    def frozen() -> Credentials:
        try:
            now = found.get_frozen_credentials()
        except BotoCoreError as error:
            raise StoreDenied(f"The credentials for S3 could not be renewed: {error}", hint="Look at the profile or the role.") from error
        return Credentials(now.access_key, now.secret_key, now.token)

    return frozen
