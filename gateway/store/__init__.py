"""The store: the truth, on disk. `SqlStore` fulfils `gateway.ports.store.Store`; `StoreKeys` fulfils `gateway.ports.desk.Keys`."""

from gateway.store.connection import parsed
from gateway.store.engine import SqlStore
from gateway.store.keys import StoreKeys
from gateway.store.months import make_months
from gateway.store.schema import backup, migrate
from gateway.store.transaction import SqlTransaction

__all__ = ["SqlStore", "SqlTransaction", "StoreKeys", "backup", "make_months", "migrate", "parsed"]
