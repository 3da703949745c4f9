"""What `tongluo validate --json` prints for one file, and the shape of a finding in every HTTP answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.model.alert import Finding, Parsed, Weight

_TEXTS = ("identifier", "sender", "sent", "status", "msgType")


def verdict(file: str, parsed: Parsed, strict: bool) -> dict[str, Any]:
    """One JSON object of the contract. `strict` turns warnings into errors; times and words are as in the message.

    `infos` and `areas` count what is in the document, in a refused one as far as it could be read.
    """
    findings = [_graver(finding) if strict else finding for finding in parsed.findings]
    errors = [finding_as_json(finding) for finding in findings if finding.level is Weight.ERROR]
    return {
        "file": file,
        "ok": not errors,
        "dialect": parsed.dialect,
        **{name: parsed.header.get(name) for name in _TEXTS},
        "infos": int(parsed.header.get("infos", 0)),
        "areas": int(parsed.header.get("areas", 0)),
        "warnings": [finding_as_json(finding) for finding in findings if finding.level is not Weight.ERROR],
        "errors": errors,
    }


def _graver(finding: Finding) -> Finding:
    return replace(finding, level=Weight.ERROR) if finding.level is Weight.WARNING else finding


def finding_as_json(finding: Finding) -> dict[str, Any]:
    """`{code, level, xpath, line, message}`."""
    return {
        "code": finding.code,
        "level": finding.level.value,
        "xpath": finding.xpath,
        "line": finding.line,
        "message": finding.message,
    }
