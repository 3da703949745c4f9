"""A backup is a store: made while the gateway works, carried through another database, started again, it says the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ledger import live
from messages import area, cap, info

from gateway.store import parsed
from gateway.store.handover import back_up, restore
from gateway.testing.hamlet import QINGYUAN
from gateway.testing.town import town


async def test_a_gateway_started_on_a_restored_backup_shows_the_same_coverage(tmp_path: Path, postgres: str) -> None:
    store = f"sqlite:///{tmp_path / 'data' / 'tongluo.db'}"
    async with town(tmp_path, "sms", "speakers", far={"sms": {"fail_share": 0.3, "seed": 3}}) as it:
        alert = await it.post(cap(it, info(it, area(QINGYUAN))))

        async def all_known() -> bool:
            items = await it.deliveries(alert)
            return bool(items) and all(item["level"] in ("delivered", "failed", "read", "ack") for item in items)

        await it.settled()  # everything is planned and sent, so that everybody stands in the list
        await it.until(all_known, "a receipt of everybody")
        await it.settled()
        before, sent = await live(it, alert), len(it.sent("sms"))
        assert 0 < before[QINGYUAN][1] < 1
        await asyncio.to_thread(back_up, parsed(store), tmp_path / "first.db")
        await it.close()
        for path in (tmp_path / "data").glob("tongluo.db*"):
            path.unlink()
        await asyncio.to_thread(restore, tmp_path / "first.db", parsed(postgres), tmp_path)
        await asyncio.to_thread(back_up, parsed(postgres), tmp_path / "second.db")
        await asyncio.to_thread(restore, tmp_path / "second.db", parsed(store), tmp_path)
        await it.open()
        await it.settled()
        assert await live(it, alert) == before
        row = await it.gateway.store.read(lambda tx: tx.alerts.by_id(alert))
        assert row is not None
        await it.gateway.folder.rebuild(row.n)
        assert await live(it, alert) == before
        assert len(it.sent("sms")) == sent, "nobody is told twice"
