"""A store with rows in every table, and what stands in one: for tests that hand a store from one database to another."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import select
from store_kit import LATER, NOW, alert_row, attempts, new_batch, open_dispatch, small_roster

from gateway.model.dispatch import Message
from gateway.model.journal import STATEMENT, Statements
from gateway.model.region import DirectoryRow, NamedArea, Region, RegionLevel
from gateway.ports.desk import Principal, Role
from gateway.ports.rows import ProcessRow
from gateway.store import SqlTransaction
from gateway.store.connection import connect, parsed
from gateway.store.credentials import KEY
from gateway.store.tables import metadata

VILLAGE = "210423100201"


def statements(*ordinals: int) -> Statements:
    """Statement records of these endpoints."""
    block = np.zeros(len(ordinals), STATEMENT)
    block["ordinal"], block["far"] = ordinals, 2**64 - 1
    return block


def fill(tx: SqlTransaction) -> None:
    """Put rows into every table, with what is awkward: all bytes, Chinese, empty texts, nothing at all, the largest numbers."""
    whole = alert_row(
        raw=bytes(range(256)), findings=[{"zh": "早", "n": 1.5}], scope=["2104"], plan={"a": [1, None]}, ended_by=2
    )
    alert = tx.alerts.insert(whole, [("met@example", "A-0", None), ("met@example", "A-0", NOW)], {VILLAGE: True})
    tx.alerts.attach(alert, "图.png", b"\x00\xff")
    tx.rosters.put_part(alert, 0, ["10000000001", ""], ["7", "8"])
    tx.rosters.freeze(alert, small_roster(), {"runs": [["sms", 0, 0, 4]]}, NOW)
    dispatch = open_dispatch(tx, alert, targets={"channels": ["sms"]})
    tx.dispatches.put_message(dispatch, "sms", 0, Message("zh-CN", "大雨", fields=(("a", "1"),)), ["x"])
    tx.outbox.add(dispatch, [new_batch(only=np.array([0, 2**31 - 1], np.int32)), new_batch()], NOW)
    tx.journal.channel_number("sms")
    tx.journal.append(attempts(1, 2), statements(0, 1))
    tx.snapshots.put(0, 1, NOW, b"index")
    tx.snapshots.put(alert, 1, NOW, b"\x00book")
    tx.chronicle.audit("wang", "accepted", NOW, alert, "看过")
    tx.chronicle.tell("alert", {"state": "released", "名": None}, NOW, alert)
    tx.leases.take("watch", "w-1", NOW, LATER)
    tx.processes.tell(ProcessRow("w-1", ("watch",), "http://127.0.0.1:1", NOW, {"sms": {"up": True}}))
    tx.paces.reserve("sms", NOW * 1000, 5)
    tx.strays.keep("sms.red", "no JSON", b"\xff{", NOW)
    tx.credentials.add(KEY, "secret", Principal("k", "王", frozenset({Role.VIEWER}), "", ("21",)), NOW)
    tx.directory.replace_regions(
        "r.csv", [Region(VILLAGE, "南山村", RegionLevel.VILLAGE, None, extra=(("邮编", "1"),))], "r", NOW
    )
    tx.directory.replace_areas("a.csv", [NamedArea("a-1", "浑河", "流域", (VILLAGE,))], "a", NOW)
    people = [DirectoryRow(f"e-{n}", "sms", f"1000000000{n}", VILLAGE, audiences=("drill",)) for n in range(3)]
    tx.directory.replace_endpoints("d.csv", people, "d", NOW)
    tx.directory.replace_endpoints("d.csv", people[:2], "d2", NOW + 1)


def rows_of(url: str) -> dict[str, list[dict[str, Any]]]:
    """Table -> its rows, in the order of their keys."""
    engine = connect(parsed(url), readonly=True)
    try:
        with engine.begin() as connection:
            return {
                table.name: [
                    dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
                ]
                for table in metadata.sorted_tables
            }
    finally:
        engine.dispose()
