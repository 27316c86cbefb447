#!/bin/sh
# Resolves the lock files anew (`make lock`): demo.lock is what running Holdfast and its demo needs, dev.lock adds every tool of
# `make test`. dev.lock is held to demo.lock's versions, and drill.lock (what `make drill` adds to the demo) to dev.lock's, so that all can be
# installed into one environment.
set -eu
cd "$(dirname "$0")/.."
compile() {
    "${UV:-uv}" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url "$@"
}
compile --extra demo pyproject.toml requirements/build.in -o requirements/demo.lock
compile --extra demo --extra s3 --extra hsm --extra delta --extra expectations --extra evidence --extra apprise --group dev pyproject.toml requirements/build.in -c requirements/demo.lock -o requirements/dev.lock
compile --extra demo --extra delta --extra evidence pyproject.toml requirements/build.in -c requirements/dev.lock -o requirements/drill.lock
