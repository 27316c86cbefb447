"""A vault in a bucket that locks, and whoever has stolen the backup host's credentials."""

import json
import secrets

import pytest

from holdfast.storage.open import open_storage
from tests.vault_care.conftest import Depot

MODES = ("compliance", "governance")
DAYS = 4


def host_policy(days=DAYS):
    """What the backup host may do: everything but lift locks. MinIO asks for no right of its own to shorten a lock with the header that
    lifts governance, so the length of what it may set is bounded."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]},
            {"Effect": "Deny", "Action": ["s3:BypassGovernanceRetention"], "Resource": ["arn:aws:s3:::*"]},
            {
                "Effect": "Deny",
                "Action": ["s3:PutObjectRetention"],
                "Resource": ["arn:aws:s3:::*"],
                "Condition": {"NumericLessThan": {"s3:object-lock-remaining-retention-days": days}},
            },
        ],
    }


def assume(minio, policy):
    """Credentials of a session that ``policy`` bounds, as options of a location."""
    import boto3

    sts = boto3.client(
        "sts",
        endpoint_url=minio.endpoint,
        aws_access_key_id=minio.access_key,
        aws_secret_access_key=minio.secret_key,
        region_name=minio.region,
    )
    made = sts.assume_role(
        RoleArn="arn:aws:iam::123456789012:role/backup", RoleSessionName="backup", Policy=json.dumps(policy), DurationSeconds=3600
    )["Credentials"]
    sts.close()
    return {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"], "session_token": made["SessionToken"]}


def root(minio):
    return {"access_key_id": minio.access_key, "secret_access_key": minio.secret_key}


def options(minio, credentials, mode=None, days=DAYS, **more):
    made = {"endpoint": minio.endpoint, "region": minio.region, "credentials": credentials, **more}
    return made | ({"lock": {"mode": mode, "days": days}} if mode else {})


class Locked:
    """``depot``: a vault with points and logs in ``bucket``, written with the credentials ``host`` in ``mode``."""

    def __init__(self, minio, folder, mode, days=DAYS, bucket=None):
        self.minio, self.mode, self.days, self.folder = minio, mode, days, folder
        self.bucket = bucket or minio.bucket(lock=True)
        self.prefix = f"vault-{secrets.token_hex(4)}"
        self.url = f"s3://{self.bucket}/{self.prefix}"
        self.host = root(minio) if mode == "compliance" else assume(minio, host_policy(days))
        self.made = []
        self.depot = Depot(folder / "cache", lambda _clock: [self.storage()])

    def storage(self):
        storage = open_storage(self.url, options(self.minio, self.host, self.mode, self.days))
        self.made.append(storage)
        return storage

    def close(self):
        for storage in self.made:
            storage.close()

    def client(self, credentials=None):
        import boto3
        from botocore.config import Config

        given = credentials or self.host
        return boto3.client(
            "s3",
            endpoint_url=self.minio.endpoint,
            region_name=self.minio.region,
            aws_access_key_id=given["access_key_id"],
            aws_secret_access_key=given["secret_access_key"],
            aws_session_token=given.get("session_token"),
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def retention(self, name):
        """When the lock of a name's oldest version ends, as the store tells."""
        client = self.client(root(self.minio))
        try:
            versions = client.list_object_versions(Bucket=self.bucket, Prefix=f"{self.prefix}/{name}").get("Versions", [])
            oldest = [one for one in versions if one["Key"] == f"{self.prefix}/{name}"][-1]
            return client.get_object_retention(Bucket=self.bucket, Key=oldest["Key"], VersionId=oldest["VersionId"])["Retention"]
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchObjectLockConfiguration":
                return None
            raise
        finally:
            client.close()


@pytest.fixture
def lock_bucket(minio, tmp_path):
    """Makes such vaults: ``lock_bucket("compliance")``."""
    made = []

    def make(mode="compliance", **more):
        folder = tmp_path / f"locked{len(made)}"
        folder.mkdir()
        made.append(Locked(minio, folder, mode, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()
