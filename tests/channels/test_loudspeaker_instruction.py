"""The wire format: what is sealed can be opened, and nothing else can."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from loudspeaker_kit import HOUR, NOON, TEXT, VILLAGE, batch, key

from channels.loudspeaker.instruction import (
    SEAL,
    TAIL,
    Forged,
    Signer,
    Status,
    address_to,
    canonical,
    play_order,
    stop_order,
    unseal,
    usable_address,
)
from gateway.channel import Audio, Level, Reason, Receipt

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def sealed(**changes: object) -> bytes:
    one = batch("dev-1")
    order = address_to(play_order(one, NOON, 2, None), one.endpoints[0], key(0), SIGNER, NOON)
    return SIGNER.seal({**order, **changes})


def why(payload: bytes) -> str:
    with pytest.raises(Forged) as forged:
        unseal(payload, SIGNER.public)
    return forged.value.why


def test_a_play_instruction_says_all_that_a_device_needs() -> None:
    sound = Audio("/media/x.wav", "http://127.0.0.1/x.wav", "ab" * 32, 14.87654)
    one = batch("dev-1", audio=sound, status="Exercise", supersedes="a0")
    order = address_to(play_order(one, NOON, 3, 80), one.endpoints[0], key(0), SIGNER, NOON)
    assert order == {
        "v": 1,
        "do": "play",
        "alert": "a1",
        "audio": {"url": "http://127.0.0.1/x.wav", "sha256": "ab" * 32, "seconds": 14.877},
        "cause": "release",
        "device": "dev-1",
        "drill": True,
        "event_code": "",
        "grade": "red",
        "identifier": "21010641600000_20260722120000",
        "key": "d1.village-speakers.0",
        "language": "zh-CN",
        "not_after": NOON + HOUR,
        "not_before": NOON,
        "region": VILLAGE,
        "repeats": 3,
        "seq": order["seq"],
        "status": "Exercise",
        "supersedes": "a0",
        "text": TEXT,
        "ticket": SIGNER.ticket("dev-1", key(0)),
        "volume": 80,
    }


def test_without_speech_the_text_goes_alone_and_a_stop_says_only_what_to_stop() -> None:
    assert play_order(batch("x"), NOON, 2, None)["audio"] is None
    stop = stop_order(batch("x"), NOON, NOON + HOUR)
    assert stop["do"] == "stop"
    assert "text" not in stop


def test_the_seal_covers_the_line_without_its_last_member() -> None:
    payload = sealed()
    order = json.loads(payload)
    signature = base64.b64decode(order.pop("sig"))
    SIGNER.public.verify(signature, canonical(order))
    assert payload[:-TAIL] + b"}" == canonical(order)
    assert unseal(payload, SIGNER.public) == order


@given(st.data())
def test_no_byte_of_an_instruction_can_be_changed(data: st.DataObject) -> None:
    payload = bytearray(sealed())
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    assert why(bytes(payload)) in ("malformed", "unsigned", "altered")


@given(st.binary(max_size=300))
def test_noise_is_no_instruction(noise: bytes) -> None:
    assert why(noise) in ("malformed", "unsigned", "altered")


def test_forgeries_are_told_apart() -> None:
    payload, stranger = sealed(), Signer(Ed25519PrivateKey.generate())
    assert why(payload[:-TAIL] + b"}") == "unsigned"
    assert why(b"{}") == "unsigned" or why(b"{}") == "malformed"
    assert why(b"play!") == "malformed"
    assert why(payload.replace(b'"repeats":2', b'"repeats":9')) == "altered"
    assert why(stranger.seal({"v": 1})) == "altered"
    assert why(payload[: -TAIL + len(SEAL)] + b"!" * 88 + b'"}') == "altered"
    assert why(SIGNER.seal({"v": 2})) == "malformed"
    assert why(b"[" * 100_000) == "malformed"


def test_numbers_rise_even_if_the_clock_goes_back() -> None:
    signer = Signer(Ed25519PrivateKey.generate())
    numbers = [signer.number(at) for at in (NOON, NOON, NOON + 1, NOON - HOUR, NOON + 2)]
    assert numbers == sorted(set(numbers))
    assert max(numbers) < 2**53


def test_a_ticket_is_good_for_one_device_and_one_key() -> None:
    ticket = SIGNER.ticket("dev-1", key(0))
    assert SIGNER.knows("dev-1", key(0), ticket)
    assert not SIGNER.knows("dev-2", key(0), ticket)
    assert not SIGNER.knows("dev-1", key(1), ticket)
    assert not SIGNER.knows("dev-1", key(0), "")
    assert not SIGNER.knows("dev-1", key(0), "门票")
    assert Signer(Ed25519PrivateKey.generate()).ticket("dev-1", key(0)) != ticket


@pytest.mark.parametrize("address", ["210106001001-1", "村口 大喇叭", "a" * 128])
def test_device_names_that_work(address: str) -> None:
    assert usable_address(address)


@pytest.mark.parametrize("address", ["", "+", "a/b", "#", "$SYS", "a\n", "a\0b", "a\u2028b", "a" * 129])
def test_device_names_that_would_leave_their_topic(address: str) -> None:
    assert not usable_address(address)


@pytest.mark.parametrize(
    ("said", "level", "reason"),
    [
        ({"state": "received"}, Level.ACCEPTED, Reason.NONE),
        ({"state": "playing"}, Level.ACCEPTED, Reason.NONE),
        ({"state": "played", "reason": "playback"}, Level.DELIVERED, Reason.NONE),
        ({"state": "failed", "reason": "playback"}, Level.FAILED, Reason.PLAYBACK_FAILED),
        ({"state": "failed", "reason": "offline"}, Level.FAILED, Reason.OFFLINE),
        ({"state": "failed", "reason": "signature"}, Level.FAILED, Reason.SIGNATURE),
        ({"state": "failed", "reason": "expired"}, Level.FAILED, Reason.EXPIRED),
        ({"state": "failed", "reason": "foreign"}, Level.FAILED, Reason.REJECTED),
        ({"state": "failed", "reason": "喇叭坏了"}, Level.FAILED, Reason.PLAYBACK_FAILED),
        ({"state": "stopped"}, Level.FAILED, Reason.WITHDRAWN),
    ],
)
def test_what_a_status_proves(said: dict[str, str], level: Level, reason: Reason) -> None:
    status = Status.model_validate({"key": "k", "at": NOON, "firmware": "2.1", **said})
    assert status.receipt() == Receipt(level, key="k", reason=reason, event_at=NOON)
