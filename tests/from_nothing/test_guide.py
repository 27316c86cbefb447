"""docs/guide-from-nothing.md works as printed, in a fresh environment, from a folder and from a bucket that an attacker emptied."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.from_nothing.bare import clean, with_holdfast
from tests.guides.script import commands, script

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide-from-nothing.md"
INSTALL = "python3 -m venv /opt/holdfast\n/opt/holdfast/bin/pip install 'holdfast[s3]'\n"


def protected(folder, location, environment):
    """A platform of one folder, backed up by the command line; returns the recovery key."""
    source = folder / "app"
    (source / "deep" / "er").mkdir(parents=True)
    for number in range(20):
        (source / "deep" / f"file{number}").write_bytes(bytes([number]) * (1000 * number))
    (source / "deep" / "er" / "link").symlink_to("../file3")
    home = folder / "host"
    (home / "runbooks").mkdir(parents=True)
    (home / "runbooks" / "lost-site.md").write_text("# The site is lost\n")
    (home / "holdfast.yaml").write_text(
        "platform: acme\nrunbooks: ./runbooks\n"
        f"vault:\n  key: {{env: HOLDFAST_KEY}}\n  locations:\n    - {location}\n"
        "tiers:\n  standard: {rpo: 2d, backup: daily, keep: {daily: 7}, locations: [away]}\n"
        f"systems:\n  app: {{kind: files, tier: standard, paths: [{source}]}}\n"
    )

    def holdfast(*words):
        done = subprocess.run(
            [sys.executable, "-m", "holdfast.interfaces.cli.main", "--json", *words],
            cwd=home,
            env={
                **clean(folder / "hosts-home"),
                "PYTHONPATH": ":".join(sys.path),
                "HOLDFAST_KEY": "the host's own passphrase",
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    recovery = holdfast("init", "--yes")["recovery_key"]
    holdfast("backup", "app")
    return recovery, source


def follow(folder, url, recovery, store):
    """The page's commands on an empty machine; returns what they printed."""
    places = {
        INSTALL: "",  # made below, since a test has no network
        "/opt/holdfast": str(folder / "venv"),
        "file:///mnt/backup/holdfast": url,
        "hf1-the-words-on-paper": recovery,
        "/srv/restored": str(folder / "restored"),
        "=the-id": f"={store.get('AWS_ACCESS_KEY_ID', 'x')}",
        "=the-secret": f"={store.get('AWS_SECRET_ACCESS_KEY', 'x')}",
        "https://s3.example": store.get("AWS_ENDPOINT_URL", "https://s3.example"),
    }
    with_holdfast(folder / "venv")
    machine = folder / "machine"
    machine.mkdir()
    done = subprocess.run(
        ["bash", "-c", script(PAGE, places)],
        cwd=machine,
        env=clean(folder / "empty-home"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout
    assert f"--- block {len(commands(PAGE))}" in done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


def require_back(folder, source, said):
    found = sorted((folder / "restored").rglob("file*"))
    assert len(found) == 20, said
    for file in found:
        assert file.read_bytes() == (source / "deep" / file.name).read_bytes()
    (link,) = (folder / "restored").rglob("link")
    assert link.readlink() == Path("../file3")
    records = folder / "machine" / "recovery" / "records"
    assert "platform: acme" in (records / "plan.yaml").read_text()
    assert (records / "runbooks" / "lost-site.md").read_text() == "# The site is lost\n"
    assert "backup" in next((records / "journal").iterdir()).read_text()
    assert "lost-site.md" in said
    assert "(whole)" in said


def test_from_a_folder(tmp_path):
    url = f"file://{tmp_path}/away"
    recovery, source = protected(tmp_path, f"{{name: away, url: {json.dumps(url)}}}", {})
    require_back(tmp_path, source, follow(tmp_path, url, recovery, {}))


@pytest.mark.minio
def test_from_a_locked_bucket_that_was_emptied_and_overwritten(tmp_path, minio):
    bucket = minio.bucket() + "-locked"
    url = f"s3://{bucket}/vault"
    location = f"{{name: away, url: {json.dumps(url)}, endpoint: {json.dumps(minio.endpoint)}, lock: {{mode: compliance, days: 4}}}}"
    recovery, source = protected(tmp_path, location, minio.environment)
    client = minio.client()
    for info in client.list_objects_v2(Bucket=bucket)["Contents"]:
        client.put_object(Bucket=bucket, Key=info["Key"], Body=b"gone")
        client.delete_object(Bucket=bucket, Key=info["Key"])
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    client.close()
    require_back(tmp_path, source, follow(tmp_path, url, recovery, minio.environment))
