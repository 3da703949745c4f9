"""The shipped configuration in a real Alertmanager: who is told, and what is left out because something else explains it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from watchtower import Desk, duty_desk, until

FIRING: tuple[Mapping[str, str], ...] = (
    {"alertname": "TongluoStoreDown", "job": "one"},
    {"alertname": "TongluoChannelStalled", "job": "one", "channel": "sms"},
    {"alertname": "TongluoGoalMissed", "job": "one", "alert": "A1", "grade": "red"},
    {"alertname": "TongluoBrokerDown", "job": "two"},
    {"alertname": "TongluoOutboxAgeing", "job": "two"},
    {"alertname": "TongluoAlertHeld", "job": "two", "grade": "red"},
    {"alertname": "TongluoChannelStalled", "job": "three", "channel": "sms"},
    {"alertname": "TongluoChannelSilent", "job": "three", "channel": "sms"},
    {"alertname": "TongluoCanaryOverdue", "job": "three", "channel": "sms"},
    {"alertname": "TongluoCanaryOverdue", "job": "three", "channel": "wechat"},
    {"alertname": "TongluoGoalAtRisk", "job": "three", "alert": "A3", "grade": "red"},
    {"alertname": "TongluoGoalAtRisk", "job": "four", "alert": "A4", "grade": "red"},
    {"alertname": "TongluoGoalMissed", "job": "four", "alert": "A4", "grade": "red"},
    {"alertname": "TongluoGoalAtRisk", "job": "four", "alert": "A5", "grade": "red"},
    {"alertname": "TongluoDown", "job": "five", "role": "web"},
    {"alertname": "TongluoProcessDown", "job": "five", "role": "web", "instance": "w:8080", "severity": "ticket"},
    {"alertname": "TongluoProcessDown", "job": "five", "role": "intake", "instance": "i:8080", "severity": "ticket"},
    {"alertname": "TongluoWatchMissing", "job": "five"},
    {"alertname": "TongluoDown", "job": "six"},
    {"alertname": "TongluoWatchMissing", "job": "six"},
    {"alertname": "TongluoClockSkew", "job": "six", "instance": "a"},
    {"alertname": "TongluoClockSkew", "job": "six", "instance": "a", "severity": "ticket"},
    {"alertname": "TongluoClockSkew", "job": "six", "instance": "b", "severity": "ticket"},
)

LEFT_OUT = {
    ("TongluoChannelStalled", "one", "page", "sms"),
    ("TongluoOutboxAgeing", "two", "page", ""),
    ("TongluoChannelSilent", "three", "page", "sms"),
    ("TongluoCanaryOverdue", "three", "page", "sms"),
    ("TongluoGoalAtRisk", "three", "page", "A3"),
    ("TongluoGoalAtRisk", "four", "page", "A4"),
    ("TongluoProcessDown", "five", "ticket", "w:8080"),
    ("TongluoWatchMissing", "six", "page", ""),
    ("TongluoClockSkew", "six", "ticket", "a"),
}


async def test_what_follows_from_a_fault_is_left_out_and_the_rest_is_told(tmp_path: Path) -> None:
    raised = [{"labels": {"severity": "page", **labels}} for labels in FIRING]
    async with duty_desk(tmp_path) as desk:
        async with desk.http.post(f"{desk.alertmanager}/api/v2/alerts", json=raised) as answer:
            assert answer.status == 200, await answer.text()
        assert await until(lambda: left_out(desk), "Alertmanager to judge them", 15) == LEFT_OUT
        pages = [
            labels
            for labels in FIRING
            if "severity" not in labels and told_apart({**labels, "severity": "page"}) not in LEFT_OUT
        ]
        await until(lambda: len(desk.notices) >= len(pages), lambda: f"{len(pages)} pages, not {desk.notices}", 20)
    told = {told_apart(notice.labels) for notice in desk.notices if notice.receiver == "duty-page"}
    assert told == {told_apart({**labels, "severity": "page"}) for labels in pages}
    assert all((notice.receiver == "duty-page") == (notice.labels["severity"] == "page") for notice in desk.notices)


async def left_out(desk: Desk) -> set[tuple[str, ...]]:
    """What Alertmanager suppresses, once it knows everything."""
    known = await desk.asked(f"{desk.alertmanager}/api/v2/alerts")
    if len(known) < len(FIRING) or any(each["status"]["state"] == "unprocessed" for each in known):
        return set()
    return {told_apart(each["labels"]) for each in known if each["status"]["inhibitedBy"]}


def told_apart(labels: Mapping[str, str]) -> tuple[str, ...]:
    """What tells one of them from the others: rule, job, severity and whatever else names it."""
    return (
        labels["alertname"],
        labels["job"],
        labels["severity"],
        labels.get("channel") or labels.get("alert") or labels.get("instance") or "",
    )
