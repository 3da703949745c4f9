"""The one entry point: bytes in, `Parsed` out, whatever the dialect. Never raises for what somebody sent.

Order: encoding, streaming pass, head, and only then a tree. A large message whose head refuses it gets no tree at all.
"""

from __future__ import annotations

from gateway.cap import national, oasis
from gateway.cap.content import fingerprint
from gateway.cap.encoding import to_utf8
from gateway.cap.head import Reading, as_written, dialect, read_head
from gateway.cap.notes import Notes, Stop
from gateway.cap.options import Limits, Options
from gateway.cap.scan import NATIONAL, Scan, scan
from gateway.cap.tree import build
from gateway.model.alert import Parsed

_WORTH_A_TREE = 256 * 1024
_DEFAULT_OPTIONS, _DEFAULT_LIMITS = Options(), Limits()


def parse(raw: bytes, *, options: Options = _DEFAULT_OPTIONS, limits: Limits = _DEFAULT_LIMITS) -> Parsed:
    """Read one message of any dialect.

    Whatever is wrong is a finding; with an `error` among them the alert is None (`codes.http_status` says which 4xx).
    `header` holds the head's texts as written, as far as readable even then.
    """
    notes, seen = Notes(), Scan()
    try:
        return _read(raw, options, limits, notes, seen)
    except Stop as stop:
        notes.stopped(stop)
    return _refused(seen, notes)


def _read(raw: bytes, options: Options, limits: Limits, notes: Notes, seen: Scan) -> Parsed:
    if len(raw) > limits.body:
        raise Stop("body_too_large", str(limits.body))
    utf8 = to_utf8(raw, notes)
    scan(utf8, limits, notes, seen)
    if not seen.complete:
        return _refused(seen, notes)
    head = read_head(seen, options, limits, notes)
    kind = dialect(seen)
    if kind is None or (head is None and len(utf8) > _WORTH_A_TREE):
        return _refused(seen, notes)
    root = build(utf8)
    read = national.read if seen.namespace == NATIONAL else oasis.read
    alert = read(root, Reading(head, kind, options, limits, notes))
    mark = fingerprint(root) if alert else ""
    return Parsed(alert, notes.findings(), kind, mark, as_written(seen))


def _refused(seen: Scan, notes: Notes) -> Parsed:
    return Parsed(None, notes.findings(), dialect(seen), "", as_written(seen))
