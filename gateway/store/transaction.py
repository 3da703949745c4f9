"""One unit of work on the store, by subject: what `ports.store.Transaction` promises, over one connection."""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.store.alerts import SqlAlerts
from gateway.store.chronicle import SqlChronicle
from gateway.store.credentials import SqlCredentials
from gateway.store.directory import SqlDirectory
from gateway.store.dispatches import SqlDispatches
from gateway.store.journal import SqlJournal
from gateway.store.outbox import SqlOutbox
from gateway.store.pages import Pages
from gateway.store.rosters import SqlRosters
from gateway.store.snapshots import SqlSnapshots


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
        self.chronicle = SqlChronicle(connection)
        self.credentials = SqlCredentials(connection)
        self.directory = SqlDirectory(connection)
