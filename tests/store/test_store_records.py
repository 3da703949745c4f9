"""Journal, rosters, snapshots and the chronicle: what is put in comes out again, whole and in order."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError
from store_kit import NOW, alert_row, attempts, keep, opened, small_roster

from gateway.errors import Unstorable
from gateway.model.alert import AlertState
from gateway.model.journal import ACCEPTED, NEVER, STATEMENT
from gateway.model.receipt import Level, Reason
from gateway.store import SqlTransaction
from gateway.testing.clock import ManualClock


async def test_journal_rows_come_back_in_order_with_every_field(store_url: str) -> None:
    said = np.zeros(2, STATEMENT)
    said["far"], said["dispatch"], said["ordinal"] = [2**64 - 1, 0], [7, 7], [-1, 2**31 - 1]
    said["event_at"], said["received_at"] = [NEVER, NOW], NOW
    said["level"], said["reason"], said["kind"], said["channel"] = Level.FAILED, Reason.QUOTA, ACCEPTED, 3
    async with opened(store_url) as store:
        await store.write(lambda tx: tx.journal.append(attempts=attempts(1, 2)))
        await store.write(lambda tx: tx.journal.append(statements=said))
        await store.write(lambda tx: tx.journal.append(attempts=attempts(), statements=said[:0]))
        first, second = await store.read(lambda tx: tx.journal.after(0, 10))
        assert first.attempts.tolist() == attempts(1, 2).tolist()
        assert len(first.statements) == len(second.attempts) == 0
        assert second.statements.tolist() == said.tolist()
        assert [row.seq for row in await store.read(lambda tx: tx.journal.after(first.seq, 10))] == [second.seq]
        assert [row.seq for row in await store.read(lambda tx: tx.journal.after(0, 1))] == [first.seq]


async def test_the_journal_is_found_by_time(store_url: str) -> None:
    clock = ManualClock(NOW)
    async with opened(store_url, clock) as store:
        for number in range(3):
            await store.write(lambda tx, n=number: tx.journal.append(attempts=attempts(n)))  # type: ignore[misc]
            clock.forward(1)
        assert await store.read(lambda tx: [tx.journal.since(NOW + at) for at in (0, 1, 1000, 2001, 9999)]) == [
            0,
            1,
            1,
            3,
            3,
        ]


async def test_a_roster_comes_back_column_by_column(store_url: str) -> None:
    roster = small_roster(5)
    header = {"evidence": {"sms": {}}, "runs": [["sms", 0, 0, 5]]}
    async with opened(store_url) as store:
        await store.write(lambda tx: tx.rosters.freeze(1, roster, header, NOW))
        found = await store.read(lambda tx: tx.rosters.get(1))
        assert found is not None
        again, kept = found
        assert kept == header
        assert (again.leaves, again.channels) == (roster.leaves, roster.channels)
        for name in ("person_leaf", "person_weight", "endpoint_person", "endpoint_channel", "endpoint_leaf"):
            assert getattr(again, name).tolist() == getattr(roster, name).tolist()
            assert getattr(again, name).dtype == getattr(roster, name).dtype
        assert again.catch_people.tolist() == roster.catch_people.tolist()
        assert await store.read(lambda tx: tx.rosters.get(2)) is None


async def test_a_roster_is_frozen_once(store_url: str) -> None:
    async with opened(store_url) as store:
        await store.write(lambda tx: tx.rosters.freeze(1, small_roster(2), {}, NOW))
        with pytest.raises(IntegrityError):
            await store.write(lambda tx: tx.rosters.freeze(1, small_roster(4), {}, NOW))
        found = await store.read(lambda tx: tx.rosters.get(1))
        assert found is not None
        assert found[0].endpoints == 2


async def test_addresses_are_read_over_the_borders_of_parts(store_url: str) -> None:
    addresses = [f"a{number}" for number in range(10)]

    def work(tx: SqlTransaction) -> None:
        for first in (0, 4, 8):
            part = addresses[first : first + 4]
            tx.rosters.put_part(1, first, part, [name.upper() for name in part])

    async with opened(store_url) as store:
        await store.write(work)
        for first in range(10):
            for count in range(1, 11 - first):
                wanted = addresses[first : first + count]
                assert await store.read(lambda tx, f=first, c=count: tx.rosters.addresses(1, f, c)) == wanted  # type: ignore[misc]
        assert await store.read(lambda tx: tx.rosters.names(1, 3, 2)) == ["A3", "A4"]
        await store.write(lambda tx: tx.rosters.clear_parts(1))
        assert await store.read(lambda tx: tx.rosters.addresses(1, 0, 10)) == []


async def test_a_snapshot_replaces_the_one_before(store_url: str) -> None:
    async with opened(store_url) as store:
        await store.write(lambda tx: tx.snapshots.put(1, 5, NOW, b"one"))
        await store.write(lambda tx: tx.snapshots.put(1, 9, NOW, b"two"))
        await store.write(lambda tx: tx.snapshots.put(0, 7, NOW, b"index"))
        assert await store.read(lambda tx: (tx.snapshots.get(1), tx.snapshots.get(0))) == ((9, b"two"), (7, b"index"))
        await store.write(lambda tx: tx.snapshots.drop(1))
        assert await store.read(lambda tx: (tx.snapshots.get(1), tx.snapshots.get(0))) == (None, (7, b"index"))


async def test_events_are_read_on_from_the_last_one_seen(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        for n, alert in enumerate((1, 2, 1, 1)):
            tx.chronicle.tell("alert", {"n": n}, NOW + n, alert)

    async with opened(store_url) as store:
        assert await store.read(lambda tx: tx.chronicle.last_event()) == 0
        await store.write(work)
        everything = await store.read(lambda tx: tx.chronicle.told(0, 0, 10))
        assert [(alert, at, name, payload) for _, alert, at, name, payload in everything] == [
            (alert, NOW + n, "alert", {"n": n}) for n, alert in enumerate((1, 2, 1, 1))
        ]
        ids = [id for id, *_ in everything]
        assert ids == sorted(set(ids))
        told = await store.read(lambda tx: tx.chronicle.told(1, ids[0], 10))
        assert [(id, payload) for id, _, _, _, payload in told] == [(ids[2], {"n": 2}), (ids[3], {"n": 3})]
        assert [row[0] for row in await store.read(lambda tx: tx.chronicle.told(0, 0, 3))] == ids[:3]
        assert [row[0] for row in await store.read(lambda tx: tx.chronicle.newest(1, None, 2))] == [ids[3], ids[2]]
        assert [row[0] for row in await store.read(lambda tx: tx.chronicle.newest(1, ids[2], 2))] == [ids[0]]
        assert await store.read(lambda tx: tx.chronicle.last_event()) == ids[-1]


async def test_audit_rows_stand_in_order(store_url: str) -> None:
    async with opened(store_url) as store:
        await store.write(lambda tx: tx.chronicle.audit("wang", "accepted", NOW, 1))
        await store.write(lambda tx: tx.chronicle.audit("li", "approved", NOW, 1, "看过"))
        rows = await store.read(lambda tx: tx.chronicle.audited(1))
        assert rows == [
            {"at": NOW, "who": "wang", "what": "accepted", "note": ""},
            {"at": NOW, "who": "li", "what": "approved", "note": "看过"},
        ]


async def test_an_identity_stands_once(store_url: str) -> None:
    async with opened(store_url) as store:
        await store.write(lambda tx: keep(tx))
        with pytest.raises(IntegrityError):
            await store.write(lambda tx: tx.alerts.insert(alert_row(id="other"), [], {}))
        await store.write(lambda tx: tx.alerts.insert(alert_row(id="later", sent=NOW + 1), [], {}))
        assert len(await store.read(lambda tx: tx.alerts.named(["A-1"]))) == 2


async def test_an_alert_comes_back_as_it_was_kept(store_url: str) -> None:
    row = alert_row(
        raw=bytes(range(256)), findings=[{"code": "x"}], scope=["2104"], plan={"choices": [1]}, kind="raised", why="w"
    )

    def work(tx: SqlTransaction) -> int:
        n = tx.alerts.insert(
            row, [("met@example", "A-0", None), ("met@example", "A-0", NOW)], {"21": False, "2104": True}
        )
        tx.alerts.attach(n, "P_01", b"\x00\x01")
        return n

    async with opened(store_url) as store:
        n = await store.write(work)
        kept = await store.read(lambda tx: tx.alerts.by_id(row.id))
        assert kept is not None
        assert kept.n == n
        assert {name: getattr(kept, name) for name in kept.__slots__ if name != "n"} == {
            name: getattr(row, name) for name in row.__slots__ if name != "n"
        }
        assert await store.read(lambda tx: [each.sent for each in tx.alerts.references(n)]) == [None, NOW]
        assert await store.read(lambda tx: [each.by for each in tx.alerts.referring("A-0")]) == [n, n]
        (file,) = await store.read(lambda tx: tx.alerts.attachments(n))
        assert (file["name"], file["size"]) == ("P_01", 2)


async def test_alerts_are_found_by_what_people_ask(store_url: str) -> None:
    def work(tx: SqlTransaction) -> None:
        tx.alerts.insert(alert_row("A-1", expires_at=NOW + 10), [], {"210423": True})
        tx.alerts.insert(
            alert_row("A-2", state=AlertState.HELD, received_at=NOW + 5), [], {"2104": True, "210423": False}
        )
        tx.alerts.insert(alert_row("A-3"), [], {"2106": True})

    def page(tx: SqlTransaction, **filters: object) -> list[str]:
        return [row.identifier for row in tx.alerts.page(filters, None, 10)]

    async with opened(store_url) as store:
        await store.write(work)
        assert await store.read(lambda tx: page(tx)) == ["A-3", "A-2", "A-1"]
        assert await store.read(lambda tx: [row.identifier for row in tx.alerts.page({}, 3, 1)]) == ["A-2"]
        assert await store.read(lambda tx: page(tx, states=[AlertState.HELD])) == ["A-2"]
        assert await store.read(lambda tx: page(tx, since=NOW + 1)) == ["A-2"]
        assert await store.read(lambda tx: page(tx, region="210423")) == ["A-2", "A-1"]
        inside = {"region": "210423100", "holders": ["21", "2104", "210423"]}
        assert await store.read(lambda tx: page(tx, **inside)) == ["A-2", "A-1"]
        assert await store.read(lambda tx: [row.identifier for row in tx.alerts.overdue(NOW + 10)]) == ["A-1"]


async def test_a_reader_that_would_append_to_the_journal_leaves_no_trace(store_url: str) -> None:
    async with opened(store_url) as store:
        await store.read(lambda tx: tx.journal.append(attempts=attempts(1)))
        with pytest.raises(Unstorable):
            await store.read(lambda tx: tx.journal.channel_number("sms"))
        assert await store.read(lambda tx: tx.journal.after(0, 9)) == []
