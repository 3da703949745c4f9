"""The SMS channel against the simulated centre over real sockets: what goes out, what comes back, and what it proves."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError
from sms_rig import LONG, Rig, batch, eventually

from channels.sms import Sms
from channels.sms.channel import mask
from channels.sms.simulator import SmsCentre
from gateway.channel import Endpoint, Level, Misconfigured, Reason, Receipt, Unavailable


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def test_every_endpoint_is_accepted_and_then_delivered(rig: Rig) -> None:
    async with SmsCentre() as centre, rig.sms(centre) as sms:
        told = await sms.send(batch(500))
        await eventually(lambda: len(rig.journal) == 500)
    assert [receipt.level for receipt in told] == [Level.ACCEPTED] * 500
    assert sorted(receipt.endpoint for receipt in told) == list(range(500))
    assert rig.levels() == {receipt.far_id: Level.DELIVERED for receipt in told}
    assert {item["text"] for item in centre.received} == {"暴雨红色预警"}
    assert len({item["address"] for item in centre.received}) == 500


async def test_key_and_alert_travel_in_the_vendor_tlvs_only_if_wanted(rig: Rig) -> None:
    async with SmsCentre() as centre:
        async with rig.sms(centre) as sms:
            await sms.send(batch(1))
        async with rig.sms(centre, key_tlv=False) as sms:
            await sms.send(batch(1))
    assert [(item["key"], item["alert"]) for item in centre.received] == [("d1.sms.0", "alert-1"), ("", "")]


@pytest.mark.parametrize("long", ["udh", "payload"])
async def test_a_long_text_arrives_whole_and_counts_once(rig: Rig, long: str) -> None:
    async with SmsCentre() as centre, rig.sms(centre, long=long) as sms:
        told = await sms.send(batch(20, LONG))
        await eventually(lambda: len(rig.journal) >= 20)
    assert {item["text"] for item in centre.received} == {LONG}
    assert len(centre.received) == 20
    assert centre.accepted == (40 if long == "udh" else 20)
    assert rig.levels() == {receipt.far_id: Level.DELIVERED for receipt in told}


async def test_a_number_that_is_absent_is_unreachable(rig: Rig) -> None:
    async with SmsCentre(fail_share=1.0) as centre, rig.sms(centre) as sms:
        told = await sms.send(batch(5))
        await sms.send(batch(5, LONG, first=5))
        await eventually(lambda: len(rig.levels()) == 10)
    assert set(rig.levels().values()) == {Level.FAILED}
    assert rig.reasons(told[0].far_id) == {Reason.UNREACHABLE}


async def test_what_is_no_telephone_number_never_reaches_the_wire(rig: Rig) -> None:
    wrong = ["", "12", "http://x", "1000\x000000001", "10000000001 ", "1" * 21, "１０００００００００１"]
    endpoints = [Endpoint(ordinal, address) for ordinal, address in enumerate([*wrong, "+8610000000001"])]
    async with SmsCentre() as centre, rig.sms(centre) as sms:
        told = await sms.send(batch(endpoints=endpoints))
    by_endpoint = {receipt.endpoint: receipt for receipt in told}
    assert {by_endpoint[ordinal].reason for ordinal in range(len(wrong))} == {Reason.INVALID_ADDRESS}
    assert by_endpoint[len(wrong)].level == Level.ACCEPTED
    assert [item["address"] for item in centre.received] == ["8610000000001"]


async def test_a_text_that_is_too_long_is_refused_for_every_endpoint(rig: Rig) -> None:
    async with SmsCentre() as centre, rig.sms(centre, max_parts=2) as sms:
        told = await sms.send(batch(2, "雨" * 135))
        assert sms.traits.max_chars == 134
    assert {receipt.reason for receipt in told} == {Reason.TOO_LONG}
    assert centre.received == []


async def test_the_centre_is_told_until_when_the_message_is_worth_sending(rig: Rig) -> None:
    rig.clock.ahead = -7_200_000
    async with SmsCentre() as centre, rig.sms(centre) as sms:
        told = await sms.send(replace(batch(1), expires_at=rig.clock.now() + 3_600_000))
        await eventually(lambda: bool(rig.journal))
    assert rig.journal[0].far_id == told[0].far_id
    assert rig.journal[0].reason == Reason.EXPIRED, "validity_period passed an hour ago by the centre's clock"


async def test_an_expired_batch_is_never_sent(rig: Rig) -> None:
    async with SmsCentre() as centre, rig.sms(centre) as sms:
        told = await sms.send(replace(batch(3), expires_at=rig.clock.now()))
    assert {(receipt.level, receipt.reason) for receipt in told} == {(Level.FAILED, Reason.EXPIRED)}
    assert centre.accepted == 0


async def test_no_more_than_the_window_is_ever_without_answer(rig: Rig) -> None:
    async with SmsCentre(faults="slow=0.3") as centre, rig.sms(centre, window=7) as sms:
        await sms.probe()
        works = [asyncio.create_task(sms.send(batch(10, first=first))) for first in (0, 10)]
        await eventually(lambda: centre.accepted > 0)
        assert len(await sms.recall(batch(1), [])) == 0
        assert centre.accepted == 7, "a second send does not widen the window"
        centre.set_faults("")
        assert [len(told) for told in await asyncio.gather(*works)] == [10, 10]


async def test_two_sends_share_the_window_and_both_end(rig: Rig) -> None:
    async with SmsCentre() as centre, rig.sms(centre, window=5, binds=2) as sms:
        first, second = await asyncio.gather(sms.send(batch(50)), sms.send(batch(50, first=50)))
        assert len(centre.lines) == 2
    assert {receipt.endpoint for receipt in first} == set(range(50))
    assert {receipt.endpoint for receipt in second} == set(range(50, 100))


async def test_receipts_that_cannot_be_stored_are_asked_for_again(rig: Rig) -> None:
    rig.broken = True
    async with SmsCentre(delay=0.0) as centre, rig.sms(centre) as sms:
        told = await sms.send(batch(10))
        await eventually(lambda: rig.refusals > 0)
        assert rig.journal == []
        rig.broken = False
        await eventually(lambda: len(rig.levels()) == 10)
    assert rig.levels() == {receipt.far_id: Level.DELIVERED for receipt in told}


async def test_a_restart_between_answer_and_receipt_loses_nothing_of_a_long_text(rig: Rig) -> None:
    async with SmsCentre(delay=0.2) as centre:
        async with rig.sms(centre) as sms:
            told = await sms.send(batch(10, LONG))
        async with rig.sms(centre):
            await eventually(lambda: len(rig.levels()) == 10)
    assert rig.levels() == {receipt.far_id: Level.DELIVERED for receipt in told}


async def test_the_parts_of_a_message_are_on_disk_before_anybody_is_told(rig: Rig) -> None:
    rig.gate.clear()
    async with SmsCentre(delay=0.1) as centre, rig.sms(centre) as sms:
        await sms.send(batch(10, LONG))
        assert await kinds(rig) == ["M"] * 10
        await eventually(lambda: rig.waiting > 0)
        assert (await kinds(rig)).count("R") == 20, "every part's receipt, before one of them is acknowledged"
        rig.gate.set()


async def kinds(rig: Rig) -> list[str]:
    text = await asyncio.to_thread((rig.folder / "sms-parts.log").read_text)
    return [line[0] for line in text.splitlines()]


async def test_recall_withdraws_what_is_not_delivered_yet(rig: Rig) -> None:
    sent = batch(4, LONG)
    async with SmsCentre(delay=30) as centre, rig.sms(centre) as sms:
        told = await sms.send(sent)
        short = await sms.send(batch(2, first=4, dispatch="d2"))
        withdrawn = await sms.recall(sent, [Receipt(Level.ACCEPTED, receipt.endpoint) for receipt in told])
        gone = await sms.recall(batch(2, first=4, dispatch="d2"), short)
        await eventually(lambda: len(rig.levels()) == 6)
    assert sorted(receipt.endpoint for receipt in [*withdrawn, *gone]) == list(range(6))
    assert {receipt.reason for receipt in [*withdrawn, *gone]} == {Reason.WITHDRAWN}
    assert rig.reasons(told[0].far_id) == {Reason.WITHDRAWN}, "the centre's own receipt says DELETED"


async def test_recall_claims_nothing_of_what_was_delivered(rig: Rig) -> None:
    async with SmsCentre(delay=0) as centre, rig.sms(centre) as sms:
        told = await sms.send(batch(3))
        await eventually(lambda: len(rig.journal) == 3)
        assert await sms.recall(batch(3), told) == []
        assert await sms.recall(batch(3), [replace_level(receipt) for receipt in told]) == []


def replace_level(receipt: Receipt) -> Receipt:
    return receipt._replace(level=Level.DELIVERED)


async def test_wrong_credentials_are_misconfigured(rig: Rig, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    await asyncio.to_thread(secret.write_text, "right\n")
    async with SmsCentre(system_id="gw", password="right") as centre:
        for wrong in ({"password": "wrong"}, {"system_id": "other"}, {"password_file": tmp_path / "missing"}):
            async with rig.sms(centre, **wrong) as sms:
                with pytest.raises(Misconfigured):
                    await sms.send(batch())
        async with rig.sms(centre, password="", password_file=secret) as sms:
            await sms.probe()


async def test_it_starts_without_a_far_side_and_says_so(rig: Rig) -> None:
    async with SmsCentre() as centre:
        settings = centre.settings()
    async with rig.sms(settings) as sms:
        with pytest.raises(Unavailable, match="短信中心"):
            await sms.send(batch())
        with pytest.raises(Unavailable):
            await sms.probe()
        async with SmsCentre(port=settings["port"]) as centre:
            await eventually(lambda: any(line.room for line in centre.lines))
            assert len(await sms.send(batch())) == 3


async def test_before_it_is_started_nothing_can_be_sent(rig: Rig) -> None:
    async with SmsCentre() as centre, rig.sms(centre) as sms:
        pass
    with pytest.raises(Unavailable):
        await sms.send(batch())


async def test_a_send_may_be_cancelled_and_the_next_one_works(rig: Rig) -> None:
    async with SmsCentre(faults="slow=0.2") as centre, rig.sms(centre, window=4) as sms:
        for text in ("短", LONG):
            doomed = asyncio.create_task(sms.send(batch(10, text)))
            before = centre.accepted
            await eventually(partial(more_than, centre, before))
            doomed.cancel()
            with pytest.raises(asyncio.CancelledError):
                await doomed
        centre.set_faults("")
        assert len(await sms.send(batch(3, "再", first=10))) == 3
        assert [item["text"] for item in centre.received].count("再") == 3


def more_than(centre: SmsCentre, before: int) -> bool:
    return centre.accepted > before


async def test_tls_is_checked_against_the_trusted_certificates(rig: Rig, tmp_path: Path) -> None:
    certificate = tmp_path / "centre.pem"
    await asyncio.to_thread(certificate.write_bytes, self_signed())
    async with SmsCentre(certificate=certificate) as centre:
        async with rig.sms(centre, tls=True, tls_ca_file=certificate) as sms:
            assert len(await sms.send(batch())) == 3
        async with rig.sms(centre, tls=True) as sms:
            with pytest.raises(Unavailable, match="certificate"):
                await sms.send(batch())
        async with rig.sms(centre, tls=True, tls_ca_file=tmp_path / "missing.pem") as sms:
            with pytest.raises(Misconfigured):
                await sms.send(batch())


def self_signed() -> bytes:
    """Key and certificate of 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "centre")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + certificate.public_bytes(serialization.Encoding.PEM)


async def test_the_simulator_writes_what_it_took_to_its_log(rig: Rig, tmp_path: Path) -> None:
    log = tmp_path / "centre.jsonl"
    async with SmsCentre(log=log) as centre, rig.sms(centre) as sms:
        await sms.send(batch(3))
    lines = [json.loads(line) for line in (await asyncio.to_thread(log.read_text, "utf-8")).splitlines()]
    assert lines == centre.received
    assert set(lines[0]) == {"at", "channel", "address", "text", "key", "alert"}


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in (
        {"receipt_zone": "Asia/Nowhere"}, {"reasons": {"MK:0001": "gone"}}, {"window": 0}, {"long": "sar"},
        {"source_addr": "1\x00"}, {"unknown": 1}, {"message_id_format": "octal"},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            Sms.Config.model_validate({"type": "sms", **wrong})


def test_the_password_is_not_shown() -> None:
    config = Sms.Config.model_validate({"type": "sms", "password": "canary-secret"})
    assert "canary-secret" not in repr(config)
    assert "canary-secret" not in config.model_dump_json()


@pytest.mark.parametrize(("address", "shown"), [("10000001234", "100****1234"), ("12379", "****"), ("", "****")])
def test_numbers_are_masked(address: str, shown: str) -> None:
    assert mask(address) == shown
