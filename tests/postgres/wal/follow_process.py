"""A follower as a process: FOLDER DSN INTERVAL [SOCKET]. Ends at SIGTERM."""

import signal
import sys
from pathlib import Path

from holdfast.systems.postgres.follow import Follower, FollowSettings
from tests.postgres.wal.following import logs_of


def main() -> None:
    folder, dsn, interval = sys.argv[1:4]
    settings = FollowSettings(interval=float(interval), heartbeat=0.2, retry=0.5, timeout=10.0)
    follower = Follower("db", lambda: dsn, logs_of(Path(folder)), settings)
    signal.signal(signal.SIGTERM, lambda *_: follower.stop())
    follower.run()


if __name__ == "__main__":
    main()
