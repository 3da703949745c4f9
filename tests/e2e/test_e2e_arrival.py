"""Order of arrival does not matter: nothing stays in force after its Cancel, and who was warned is told that it is over."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from messages import area, cap, info, reference, stamp

from gateway.testing.hamlet import NANSHAN, phone
from gateway.testing.town import Town, town

ORDERS = ["".join(order) for order in permutations("AUVC")]


def chain(it: Town) -> dict[str, str]:
    """An Alert, its Update, that one's Update, and a Cancel that names only the last."""
    body = info(it, area(NANSHAN))
    sent = [stamp(it, seconds=second) for second in range(4)]
    named = [reference(it, name, sent=at) for name, at in zip(("A-1", "A-2", "A-3"), sent, strict=False)]
    return {
        "A": cap(it, body, identifier="A-1", sent=sent[0]),
        "U": cap(it, body, identifier="A-2", msg_type="Update", references=named[:1], sent=sent[1]),
        "V": cap(it, body, identifier="A-3", msg_type="Update", references=named[:2], sent=sent[2]),
        "C": cap(it, identifier="C-1", msg_type="Cancel", references=named[2:], sent=sent[3]),
    }


@pytest.mark.parametrize("order", ORDERS)
async def test_nothing_stays_in_force_after_its_cancel(tmp_path: Path, order: str) -> None:
    async with town(tmp_path, "sms") as it:
        messages = chain(it)
        answers = {name: await it.posted(messages[name]) for name in order}
        assert {answer.status for answer in answers.values()} == {202}
        shown = {name: await it.alert(answer.body["id"]) for name, answer in answers.items()}
        assert not [name for name in "AUV" if shown[name]["state"] in ("released", "held")], order
        warned = [text for text in it.sent("sms") if "解除" not in text]
        if warned:
            await it.expect_sms(phone(1), "解除")
