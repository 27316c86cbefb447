"""``python -m holdfast.systems.postgres.walclient push %p``."""

import sys

from holdfast.systems.postgres.walclient import main

sys.exit(main(sys.argv[1:]))
