"""A follower as a process: FOLDER DSN INTERVAL [SOCKET]. Ends at SIGTERM."""

import contextlib
import signal
import sys
from pathlib import Path

from holdfast.systems.postgres.follow import Follower, FollowSettings
from holdfast.systems.postgres.walserver import WalArchive, WalServer
from tests.postgres.wal.following import logs_of


def main() -> None:
    folder, dsn, interval, *sockets = sys.argv[1:]
    settings = FollowSettings(interval=float(interval), heartbeat=0.2, retry=0.5, timeout=30.0)
    follower = Follower("db", lambda: dsn, logs_of(Path(folder)), settings)
    signal.signal(signal.SIGTERM, lambda *_: follower.stop())
    with contextlib.ExitStack() as stack:
        for path in sockets:
            archive = WalArchive(follower, logs_of(Path(folder)), patience=60)
            stack.enter_context(WalServer(Path(path), archive=archive, mode=0o666))
        follower.run()


if __name__ == "__main__":
    main()
