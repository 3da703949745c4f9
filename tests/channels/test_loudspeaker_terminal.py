"""The law of a device: it obeys what was signed for it, in force and new, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from loudspeaker_kit import HOUR, NOON, VILLAGE, batch, key

from channels.loudspeaker.instruction import Forged, Order, Signer, address_to, play_order, stop_order
from channels.loudspeaker.terminal import SKEW, Disobeyed, Terminal
from gateway.channel import Instant

SIGNER = Signer(Ed25519PrivateKey.generate())


def play(dispatch: str = "d1", at: Instant = NOON, **changes: Any) -> bytes:
    one = batch("dev-1", dispatch=dispatch)
    order = address_to(play_order(one, at, 2, None), one.endpoints[0], key(0, dispatch), SIGNER, at)
    return SIGNER.seal({**order, **changes})


def stop(until: Instant, at: Instant = NOON) -> bytes:
    one = batch("dev-1")
    return SIGNER.seal(address_to(stop_order(one, at, until), one.endpoints[0], key(0), SIGNER, at))


@pytest.fixture
def terminal() -> Terminal:
    return Terminal("dev-1", VILLAGE)


def obeys(terminal: Terminal, payload: bytes, now: Instant = NOON) -> Order:
    return terminal.judge(payload, SIGNER.public, now)


def refuses(terminal: Terminal, payload: bytes, now: Instant = NOON) -> str:
    with pytest.raises(Disobeyed) as disobeyed:
        terminal.judge(payload, SIGNER.public, now)
    return disobeyed.value.why


def test_it_obeys_what_was_signed_for_it(terminal: Terminal) -> None:
    assert obeys(terminal, play())["key"] == key(0)


def test_it_does_not_know_another_key(terminal: Terminal) -> None:
    with pytest.raises(Forged):
        terminal.judge(play(), Ed25519PrivateKey.generate().public_key(), NOON)


def test_it_obeys_nothing_twice(terminal: Terminal) -> None:
    payload = play()
    obeys(terminal, payload)
    assert refuses(terminal, payload) == "replayed"


def test_two_gateways_may_cross_each_other(terminal: Terminal) -> None:
    earlier, later = play("d1"), play("d2")
    obeys(terminal, later)
    assert obeys(terminal, earlier)["key"] == key(0, "d1")


def test_a_clock_set_back_lets_no_recording_sound_again(terminal: Terminal) -> None:
    old = play("d1")
    obeys(terminal, old)
    obeys(terminal, play("d2", at=NOON + 2 * HOUR, not_after=NOON + 3 * HOUR), now=NOON + 2 * HOUR)
    assert refuses(terminal, old, now=NOON) == "replayed"


def test_it_obeys_only_from_its_time_to_its_time(terminal: Terminal) -> None:
    assert refuses(terminal, play(), now=NOON + HOUR) == "expired"
    assert refuses(terminal, play(not_before=NOON + SKEW + 1)) == "early"
    assert obeys(terminal, play(not_before=NOON + SKEW))
    assert obeys(terminal, play(), now=NOON + HOUR - 1)


@pytest.mark.parametrize("region", [VILLAGE, "210106001", "210106", "21"])
def test_it_obeys_for_its_region_and_those_above(terminal: Terminal, region: str) -> None:
    assert obeys(terminal, play(region=region))


@pytest.mark.parametrize("region", ["", "210106001002", "210423", f"{VILLAGE}01"])
def test_it_does_not_obey_for_another_region(terminal: Terminal, region: str) -> None:
    assert refuses(terminal, play(region=region)) == "foreign"


def test_it_does_not_obey_for_another_device(terminal: Terminal) -> None:
    assert refuses(terminal, play(device="dev-2")) == "foreign"


def test_a_device_without_a_region_takes_the_first_one_signed_for_it() -> None:
    terminal = Terminal("dev-1")
    obeys(terminal, play())
    assert terminal.region == VILLAGE
    assert refuses(terminal, play(region="210423001001")) == "foreign"


def test_a_refused_instruction_installs_nothing() -> None:
    terminal = Terminal("dev-1")
    refuses(terminal, play(region="210423", not_after=NOON))
    assert terminal.region == ""


def test_a_stop_that_overtakes_its_play_silences_it(terminal: Terminal) -> None:
    terminal.silence(obeys(terminal, stop(until=NOON + HOUR)))
    assert refuses(terminal, play()) == "withdrawn"
    assert obeys(terminal, play("d2"))


def test_it_forgets_what_has_expired(terminal: Terminal) -> None:
    order = obeys(terminal, play())
    terminal.answers[order["key"]] = terminal.status(order, "played", NOON)
    terminal.silence(obeys(terminal, stop(until=NOON + HOUR)))
    later = NOON + 2 * HOUR
    obeys(terminal, play("d2", at=later, not_after=later + HOUR), now=later)
    assert terminal.answers == {}
    assert obeys(terminal, play("d1", at=later, not_after=later + HOUR), now=later)
