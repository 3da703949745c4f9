"""One day of a deployment in roles, on which everything fails that can: the tests run in order on one fleet, clients post all the
while, and the checker has the last word on all of it together.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from random import Random

import aio_pika
import psycopg
import pytest
import pytest_asyncio
from clients import session
from fleet import NAMES, RATE, WINDOW, Fleet, fleet_at_sea, until
from letters import CROWD, MEASURED
from nursery import Nursery
from rounds import ROUNDS, SEED, Say, either, rule_of_three
from witness import Witness

from gateway.testing.hamlet import NANSHAN

pytest_plugins = ("lending",)
pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(300 + 60 * ROUNDS),
    pytest.mark.asyncio(loop_scope="session"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fleet(nursery: Nursery) -> AsyncIterator[Fleet]:
    async with fleet_at_sea(nursery) as one:
        yield one


async def test_without_a_broker_it_starts_and_takes_a_hundred_identical_posts_as_one(fleet: Fleet, say: Say) -> None:
    """F4, F7. Nothing can be sent yet; when the broker comes, everybody hears once."""
    letter = fleet.clients.letter(NANSHAN, "red")
    async with session() as http:
        taken = await asyncio.gather(*(fleet.clients.post(http, letter.identifier, letter.raw) for _ in range(100)))
        assert all(taken)
    assert len(fleet.clients.evidence.acked[letter.identifier]) == 1
    assert fleet.clients.statuses == {202: 1, 200: 99}
    assert (await fleet.get("intake-1", "/readyz"))[0] == 200, "warnings are taken in all the same"
    assert await _broker_is_missed(fleet, "intake-1")
    booted = asyncio.create_task(asyncio.to_thread(fleet.rabbit.start))
    fleet.clients.begin(3)
    await booted

    def told() -> Counter[str]:
        mine = _ids(fleet, letter.identifier)
        return Counter(item["address"] for item in fleet.centre.received if item["alert"] in mine)

    took = await until(lambda: told().total() >= 6, "the hundredfold alert")
    for name in ("intake-1", "deliver-1", "watch-1"):
        await until(partial(_ready, fleet, name), f"{name} to be ready")
    assert told() == dict.fromkeys(fleet.clients.people[NANSHAN], 1)
    say(f"100 identical posts at two intakes = 1 alert, 6 people called once each, {took:.1f} s after the broker came")


async def _broker_is_missed(fleet: Fleet, name: str) -> bool:
    """Whether a process says that the broker is away or takes nothing."""
    return not (await fleet.get(name, "/readyz"))[1]["parts"]["queue"]["ok"]


async def _ready(fleet: Fleet, name: str) -> bool:
    return not await _broker_is_missed(fleet, name)


def _ids(fleet: Fleet, identifier: str) -> set[str]:
    return fleet.clients.evidence.acked[identifier]


async def test_a_frozen_leader_is_replaced_and_writes_nothing_when_it_wakes(fleet: Fleet, say: Say) -> None:
    """F22. Meanwhile: two workers keep one channel's rate together, and a Cancel at half time stops what was not sent."""
    old = await fleet.leader()
    token = (await fleet.asks("SELECT token FROM lease WHERE office = 'watch'"))[0][0]
    lines = fleet.lines_to_the_store(old)
    fleet.lives[old].tell(signal.SIGSTOP)
    url, frozen = fleet.urls.pop(old), time.monotonic()
    await asyncio.to_thread(note_who_saves, fleet.store)
    measured = asyncio.create_task(_rate_and_cancel(fleet, say))

    async def replaced() -> bool:
        return await fleet.leader() not in ("", old)

    await until(replaced, "another leader", 30)
    took, new = time.monotonic() - frozen, await fleet.leader()
    await measured
    fleet.lives[old].tell(signal.SIGCONT)
    fleet.urls[old] = url
    await until(lambda: _stands_by(fleet, old), "the old leader to learn of it")
    told = await fleet.asks("SELECT token, until FROM lease WHERE office = 'watch'")
    assert told[0][0] == token + 1
    assert await fleet.leader() == new
    lines |= fleet.lines_to_the_store(old)
    assert lines
    ((code, _),) = (await fleet.end(old)).values()  # a leader saves its figures when it ends
    assert code == 0
    writers = {row[0] for row in await fleet.asks("SELECT DISTINCT port FROM saved")}
    assert not writers & lines, "the old leader has written"
    await fleet.launch(old)
    say(f"frozen leader replaced after {took:.1f} s; thawed, it wrote nothing (token {token} -> {token + 1})")
    assert took <= 15


async def _stands_by(fleet: Fleet, name: str) -> bool:
    return "stands by" in json.dumps((await fleet.get(name, "/readyz"))[1])


def note_who_saves(url: str) -> None:
    """From now on the store notes by whose connection each snapshot is saved."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("CREATE TABLE saved (port int)")
        server.execute(
            "CREATE FUNCTION note_saved() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN INSERT INTO saved VALUES (inet_client_port()); RETURN NULL; END'"
        )
        server.execute(
            "CREATE TRIGGER note_saved AFTER INSERT OR UPDATE ON snapshot FOR EACH ROW EXECUTE FUNCTION note_saved()"
        )


def _called(centre: Witness, alert: str) -> set[str]:
    """The addresses that messages of an alert have come for."""
    return {item["address"] for item in centre.received if item["alert"] == alert}


async def _rate_and_cancel(fleet: Fleet, say: Say) -> None:
    """Two workers share a channel of `RATE` a second; half way the warning is cancelled."""
    clients, centre = fleet.clients, fleet.paced
    letter = clients.letter(MEASURED)
    async with session() as http:
        await clients.insist(http, letter)
        await until(lambda: len(centre.received) >= len(clients.people[MEASURED]) // 2, "half of the fan-out")
        await clients.insist(http, clients.cancel_of(letter))
    cancelled, at = time.monotonic(), len(centre.received)
    (warning,), (cancel,) = _ids(fleet, letter.identifier), _ids(fleet, clients.evidence.cancelled[letter.identifier])
    await until(lambda: _called(centre, cancel) >= _called(centre, warning), "the all-clear for everybody warned", 60)
    took = time.monotonic() - cancelled
    span = centre.came[at - 1] - centre.came[0]
    late = [
        came
        for came, item in zip(centre.came, centre.received, strict=True)
        if item["alert"] == warning and came > cancelled
    ]
    first = next(came for came, item in zip(centre.came, centre.received, strict=True) if item["alert"] == cancel)
    say(
        f"{at} messages in {span:.1f} s by two workers at {RATE}/s ({(at - RATE) / span:.0f}/s after the first slice); "
        f"Cancel: {len(late)} originals came after its 202 (last after {max(late, default=cancelled) - cancelled:.2f} s), "
        f"the first all-clear {first - cancelled:.1f} s and the last of {len(_called(centre, cancel))} {took:.1f} s after it"
    )
    assert _called(centre, cancel) == _called(centre, warning)
    assert (at - RATE) / span <= RATE * 1.1
    assert len(late) <= 2 * RATE
    assert max(late, default=cancelled) - cancelled <= 2


async def test_workers_and_intakes_are_killed_in_turn(fleet: Fleet, say: Say) -> None:
    """F1, F13: kill -9 under load, and the next one while the last still comes up."""
    chance = Random(SEED)
    kills = max(6, ROUNDS // 2)
    for number in range(kills):
        victim = ("deliver-1", "intake-1", "deliver-2", "intake-2", "deliver-1", fleet_leader)[number % 6]
        name = await fleet.leader() or "watch-1" if victim is fleet_leader else str(victim)
        await fleet.clients.answered(chance.randint(1, 8))
        await asyncio.sleep(chance.uniform(0, 0.05))
        await fleet.kill(name)
        await fleet.launch(name)
    say(f"{kills} kills {fleet.deaths}: answers {dict(fleet.clients.statuses)}")


fleet_leader = object()
"""Whoever leads the watch at the time."""


async def test_the_store_is_locked_and_crashes(fleet: Fleet, say: Say) -> None:
    """F23: while it cannot store, POST says 503 and when to come again; then all goes on by itself."""
    told = fleet.clients.statuses[503]
    locked, unlock = threading.Event(), threading.Event()
    lock = asyncio.create_task(asyncio.to_thread(_lock, fleet.store, locked, unlock))
    try:
        await asyncio.to_thread(locked.wait, 60)
        refused = await until(lambda: fleet.clients.statuses[503] > told, "a client to be told to come again", 30)
    finally:
        unlock.set()
        await lock
    async with session() as http:
        after_lock = await fleet.clients.insist(http, fleet.clients.letter(NANSHAN))
    slowest = 0.0
    for _ in range(int(either(1, 20))):
        await asyncio.to_thread(fleet.postgres.crash)
        await asyncio.to_thread(fleet.postgres.start)
        back = time.monotonic()
        async with session() as http:
            await fleet.clients.insist(http, fleet.clients.letter(NANSHAN))
        slowest = max(slowest, time.monotonic() - back)
    say(
        f"503 {refused:.1f} s into an exclusive lock, POST again {after_lock:.1f} s after its end and {slowest:.1f} s after a crash"
    )
    assert after_lock <= 5
    assert slowest <= 5


def _lock(url: str, locked: threading.Event, unlock: threading.Event) -> None:
    """An exclusive lock on the table of alerts until it is told otherwise."""
    with psycopg.connect(url) as server:
        server.execute("LOCK TABLE alert IN ACCESS EXCLUSIVE MODE")
        locked.set()
        unlock.wait(60)


async def test_a_poison_message_hurts_nobody_and_is_listed(fleet: Fleet, say: Say) -> None:
    """F14."""
    connection = await aio_pika.connect(fleet.rabbit.url())
    async with connection:
        exchange = await (await connection.channel()).get_exchange("tongluo", ensure=False)
        await exchange.publish(aio_pika.Message(b"\x00poison"), "sms.orange")
    before, began = len(fleet.centre.received), time.monotonic()
    rows = "SELECT n, reason FROM stray WHERE route = 'sms.orange'"
    await until(lambda: fleet.asks(rows), "the poison to be listed")
    listed = time.monotonic() - began
    await until(lambda: len(fleet.centre.received) > before, "others to go on")
    ((number, _),) = await fleet.asks(rows)
    await fleet.asks(f"UPDATE stray SET replay = true WHERE n = {number} RETURNING n")
    await until(lambda: _replaced(fleet, rows, number), "it to be replayed, and to come back")
    say(f"listed after {listed:.1f} s, replayed, and listed again; the others went on")


async def _replaced(fleet: Fleet, rows: str, number: int) -> bool:
    return number not in {row[0] for row in await fleet.asks(rows)} and bool(await fleet.asks(rows))


async def test_queues_are_deleted_with_what_is_in_them(fleet: Fleet, say: Say) -> None:
    """F12: the workers are frozen, so that there is something in them."""
    workers = [name for name in fleet.urls if name.startswith("deliver")]
    for name in workers:
        fleet.lives[name].tell(signal.SIGSTOP)
    await fleet.clients.answered(12)
    await asyncio.sleep(1)
    queues = [queue["name"] for queue in await asyncio.to_thread(fleet.rabbit.api, "GET", "queues/%2F")]
    doomed = [name for name in queues if name.startswith("tongluo.sms.")]
    for name in doomed:
        await asyncio.to_thread(fleet.rabbit.api, "DELETE", f"queues/%2F/{name}")
    for name in workers:
        fleet.lives[name].tell(signal.SIGCONT)
    say(f"{len(doomed)} queues deleted")


async def test_the_broker_freezes(fleet: Fleet, say: Say) -> None:
    """F10: POST stays up, and so it is with a connection that is dead one way."""
    began = time.monotonic()
    await asyncio.to_thread(fleet.rabbit.freeze)
    noticed = await until(lambda: _broker_is_missed(fleet, "intake-1"), "the freeze to be noticed", 40)
    await asyncio.to_thread(fleet.rabbit.thaw)
    median, worst, count = fleet.clients.slowest(began)
    thawed = await until(lambda: _ready(fleet, "intake-1"), "the thaw to be noticed")
    fleet.wire.half_open()
    half = await until(lambda: _broker_is_missed(fleet, "intake-1"), "the dead way to be noticed", 40)
    await fleet.wire.heal()
    await until(lambda: _ready(fleet, "intake-1"), "the wire's healing to be noticed")
    say(
        f"frozen broker noticed after {noticed:.1f} s, its thaw after {thawed:.1f} s, half-open TCP after {half:.1f} s; "
        f"POST meanwhile: median {median * 1000:.0f} ms, p99 {worst * 1000:.0f} ms of {count}"
    )
    assert max(noticed, half) <= 30


async def test_the_broker_is_killed_and_stays_away(fleet: Fleet, say: Say) -> None:
    """F8, F9: POST stays up, no process grows, and red goes before blue when it is back."""
    clients, away = fleet.clients, either(20, 600)
    pending = int(either(20_000, 100_000))
    before = {name: fleet.resident(name) for name in fleet.urls}
    await fleet.kill_broker()
    began = time.monotonic()
    async with session() as http:
        for _ in range(pending // 5_000):
            await clients.insist(http, clients.letter(CROWD, "blue"))
        red = clients.letter(NANSHAN, "red")
        await clients.insist(http, red)
    await until(lambda: _pending(fleet, pending), "the backlog to be planned", 120)
    await asyncio.sleep(max(0.0, away - (time.monotonic() - began)))
    grown = {name: fleet.resident(name) - before[name] for name in before}
    median, worst, count = clients.slowest(began)
    place = len(fleet.centre.received)
    await asyncio.to_thread(fleet.rabbit.start)
    back = time.monotonic()
    (id,) = _ids(fleet, red.identifier)
    await until(lambda: sum(item["alert"] == id for item in fleet.centre.received[place:]) >= 6, "the red one")
    first_red = time.monotonic() - back
    reds = [number for number, item in enumerate(fleet.centre.received[place:]) if item["alert"] == id]
    crowd = fleet.clients.people[CROWD]
    ahead = sum(item["address"] in crowd for item in fleet.centre.received[place : place + reds[5]])
    say(
        f"broker away {away:.0f} s: {count} answers to POST, median {median * 1000:.0f} ms, p99 {worst * 1000:.0f} ms; "
        f"{pending} deliveries pending, a process grew by at most {max(grown.values()):.0f} MiB "
        f"({', '.join(f'{name} {mib:.0f}' for name, mib in grown.items())}); "
        f"red {first_red:.1f} s after the return, {ahead} blue messages before it"
    )
    assert max(grown.values()) <= 64
    assert first_red <= 5
    assert ahead == 0


async def _pending(fleet: Fleet, count: int) -> bool:
    rows = await fleet.asks("SELECT coalesce(sum(count), 0) FROM batch WHERE state = 'pending'")
    return int(rows[0][0]) >= count


async def test_the_checker_has_the_last_word(fleet: Fleet, say: Say) -> None:
    """F21: everything drains, SIGTERM ends every process in good order, and nothing is lost."""
    began = time.monotonic()
    await fleet.drained(either(120, 900))
    drained = time.monotonic() - began
    claimed = await fleet.duplicates()
    ends = await fleet.end(*NAMES)
    began = time.monotonic()
    verdict = await fleet.verdict()
    say(
        f"{len(fleet.clients.evidence.wanted)} messages posted, {len(fleet.clients.evidence.acked)} acknowledged, answers "
        f"{dict(sorted(fleet.clients.statuses.items()))}; {len(fleet.evidence().received)} SMS, {verdict.duplicates} of them twice "
        f"(the living workers count {claimed:.0f}); drained in {drained:.1f} s; {fleet.deaths} killed; "
        f"{verdict.faults or 'lost 0, unexpected 0, overclaimed 0, underclaimed 0'}; {rule_of_three(fleet.kills)}; "
        f"SIGTERM: at most {max(took for _, took in ends.values()):.1f} s; checked in {time.monotonic() - began:.1f} s"
    )
    assert {code for code, _ in ends.values()} == {0}
    assert max(took for _, took in ends.values()) <= 10
    assert verdict.faults == {}, verdict.examples
    assert verdict.duplicates <= WINDOW * fleet.kills
