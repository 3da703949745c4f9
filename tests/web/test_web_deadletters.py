"""Dead letters over the API and on their page: who sees them, and who puts them back to work."""

from __future__ import annotations

from typing import Any

from web_world import serve

from gateway.web.shapes import DeadLetter


async def test_dead_letters_are_told_in_the_shape_we_promise() -> None:
    async with serve() as it, it.ask("/api/v1/deadletters", key="key-view") as answer:
        rows = [DeadLetter.model_validate(row) for row in await answer.json()]
        assert [(row.id, row.kind, row.endpoints) for row in rows] == [("m3", "message", None), ("12", "batch", 7)]


async def test_only_an_approver_replays() -> None:
    async with serve() as it:
        async with it.ask("/api/v1/deadletters/12/replay", method="POST", key="key-view") as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "role_denied")
        assert it.world.done == []
        async with it.ask("/api/v1/deadletters/12/replay", method="POST") as answer:
            assert (answer.status, await answer.json()) == (200, {"id": "12", "state": "replayed"})
        assert [(what, letter) for what, letter, *_ in it.world.done] == [("replay", "12")]


async def test_the_page_shows_both_kinds_and_a_button_to_those_who_may() -> None:
    async with serve() as it:
        async with it.ask("/deadletters", session="session-admin") as answer:
            text = await answer.text()
            assert "铁西区气象局发布暴雨橙色预警" in text
            assert "not JSON" in text
            assert text.count('action="/deadletters/') == 2
        async with it.ask("/deadletters", session="session-viewer") as answer:
            assert 'action="/deadletters/' not in await answer.text()


async def test_a_form_without_its_token_replays_nothing() -> None:
    async with serve() as it:
        form: dict[str, Any] = {"data": {"sure": "yes"}}
        async with it.ask("/deadletters/12/replay", method="POST", session="session-admin", **form) as answer:
            assert answer.status == 403
        assert it.world.done == []
