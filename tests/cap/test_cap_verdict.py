"""The JSON object of `tongluo validate`, and the documented list of findings."""

import re
from pathlib import Path
from typing import Any

from cap_messages import INFO, cap, national

from gateway.cap import CODES, parse, verdict
from gateway.rules.lineage import NOTES

DOCS = Path(__file__).parents[2] / "docs" / "cap.md"


def judge(text: str, strict: bool = False) -> dict[str, Any]:
    return verdict("a.xml", parse(text.encode()), strict)


def test_an_acceptable_file() -> None:
    assert judge(cap(INFO + INFO)) == {
        "file": "a.xml",
        "ok": True,
        "dialect": "cap-1.2",
        "identifier": "FS-20260722-1",
        "sender": "fushun@met.example",
        "sent": "2026-07-22T14:30:00+08:00",
        "status": "Actual",
        "msgType": "Alert",
        "infos": 2,
        "areas": 2,
        "warnings": [],
        "errors": [],
    }


def test_words_are_as_in_the_message() -> None:
    shown = judge(national(msgType="Cancle", references="x", sendTime="2026-07-22 14:30:00+08:00"))
    assert (shown["ok"], shown["msgType"], shown["sent"]) == (True, "Cancle", "2026-07-22 14:30:00+08:00")


def test_strict_turns_warnings_into_errors_and_leaves_infos() -> None:
    text = cap(INFO.replace("<language>zh-CN</language>", ""), sent="2026-07-22T06:30:00Z")
    lenient, strict = judge(text), judge(text, strict=True)
    assert (lenient["ok"], lenient["errors"]) == (True, [])
    assert [(f["code"], f["level"]) for f in lenient["warnings"]] == [
        ("time_z", "warning"),
        ("language_missing", "info"),
    ]
    assert strict["ok"] is False
    assert [(f["code"], f["level"]) for f in strict["errors"]] == [("time_z", "error")]
    assert [f["code"] for f in strict["warnings"]] == ["language_missing"]


def test_a_refused_file_tells_what_could_be_read() -> None:
    shown = judge(cap(status=None))
    assert (shown["ok"], shown["identifier"], shown["status"], shown["infos"]) == (False, "FS-20260722-1", None, 1)
    (error,) = shown["errors"]
    assert set(error) == {"code", "level", "xpath", "line", "message"}
    assert judge("nonsense")["dialect"] is None


def test_every_code_is_documented_with_its_level_status_and_sentence() -> None:
    rows = re.findall(
        r"^\| `([a-z0-9_]+)` \| (error|warning|info) \| (\d*) +\| (.+) \|$", DOCS.read_text("utf-8"), re.MULTILINE
    )
    documented = {code: (level, status.strip(), sentence) for code, level, status, sentence in rows}
    expected = {code: (one.level.value, str(one.status or ""), f"{one.zh} {one.en}") for code, one in CODES.items()}
    expected |= {code: (level.value, "", f"{zh} {en}") for code, (level, zh, en) in NOTES.items()}
    assert documented == expected
