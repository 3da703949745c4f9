"""One unit of work on the store, by subject: what `ports.store.Transaction` promises, over one connection."""

from __future__ import annotations

from sqlalchemy import Connection, text

from gateway.model.time import Instant
from gateway.ports.clock import uptime
from gateway.store.alerts import SqlAlerts
from gateway.store.chronicle import SqlChronicle
from gateway.store.credentials import SqlCredentials
from gateway.store.directory import SqlDirectory
from gateway.store.dispatches import SqlDispatches
from gateway.store.journal import SqlJournal
from gateway.store.leases import SqlLeases
from gateway.store.outbox import SqlOutbox
from gateway.store.pages import Pages
from gateway.store.processes import SqlPaces, SqlProcesses
from gateway.store.rosters import SqlRosters
from gateway.store.snapshots import SqlSnapshots
from gateway.store.strays import SqlStrays


class SqlTransaction:
    """See `ports.store.Transaction`; `credentials` and `directory` serve the outside world's own rooms."""

    def __init__(self, connection: Connection, pages: Pages, channel_numbers: dict[str, int]) -> None:
        self.connection = connection
        self.alerts = SqlAlerts(connection)
        self.dispatches = SqlDispatches(connection)
        self.rosters = SqlRosters(connection)
        self.outbox = SqlOutbox(connection)
        self.journal = SqlJournal(connection, pages, channel_numbers)
        self.snapshots = SqlSnapshots(connection)
        self.chronicle = SqlChronicle(connection, pages)
        self.leases = SqlLeases(connection)
        self.processes = SqlProcesses(connection)
        self.paces = SqlPaces(connection)
        self.strays = SqlStrays(connection)
        self.credentials = SqlCredentials(connection)
        self.directory = SqlDirectory(connection)

    def time(self) -> tuple[Instant, Instant]:
        before = uptime()
        if self.connection.dialect.name == "postgresql":
            at = int(self.connection.execute(STORE_TIME).scalar_one())
        else:
            at = int(self.connection.execute(FILE_TIME).scalar_one())
        return at, (before + uptime()) // 2


STORE_TIME = text("SELECT extract(epoch FROM clock_timestamp()) * 1000")
FILE_TIME = text("SELECT (julianday('now') - 2440587.5) * 86400000")
