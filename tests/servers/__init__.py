"""Real servers for tests, soak and benchmarks: started on free ports, in short temporary folders, ended by the id they were started with.

Nothing here asks for root. As root the servers run under an ordinary account, since PostgreSQL refuses to run as root.
"""

from tests.servers.account import Account, service_account
from tests.servers.azurite import AzuriteServer
from tests.servers.gcs import GoogleServer
from tests.servers.minio import MinioServer
from tests.servers.need import ServerMissing, need
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.versions import VERSIONS, available_versions, client_tool, server_binaries

__all__ = [
    "VERSIONS",
    "Account",
    "AzuriteServer",
    "GoogleServer",
    "MinioServer",
    "PostgresServer",
    "ServerMissing",
    "available_versions",
    "client_tool",
    "free_port",
    "need",
    "server_binaries",
    "service_account",
]
