"""The head of a message: who says it, under which name, when, and of what kind. Here alone a message is refused.

`parse` calls `read_head` with what the streaming pass collected, before a tree is built: all that cap.md §3 withholds a
message for is decided on these few texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from gateway.cap.fields import References, count_words, read_national_references, read_references, read_time
from gateway.cap.notes import Notes
from gateway.cap.options import Limits, Options
from gateway.cap.scan import CAP_11, CAP_12, NATIONAL, HeadText, Scan
from gateway.model.alert import Alert, Info, MsgType, Reference, Scope, Status
from gateway.model.time import Instant

_GBT_35965 = re.compile(r"[0-9A-Z]{11,14}_\d{14}_\d", re.ASCII)
_MISSPELT = {"cancle": "cancel"}
_MOST_TEXT = 1_000

Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Head:
    """The identity and the kind of an acceptable message."""

    identifier: str
    sender: str
    sent: Instant
    sent_text: str
    status: Status
    msg_type: MsgType
    scope: Scope
    references: tuple[Reference, ...]

    def alert(self, dialect: str, infos: tuple[Info, ...]) -> Alert:
        """The alert with this head and these infos; the readers add what their dialect has besides."""
        return Alert(
            identifier=self.identifier,
            sender=self.sender,
            sent=self.sent,
            status=self.status,
            msg_type=self.msg_type,
            scope=self.scope,
            dialect=dialect,
            sent_text=self.sent_text,
            references=self.references,
            infos=infos,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """What a dialect's reader works with. Without a head the message is refused and only findings are gathered."""

    head: Head | None
    dialect: str
    options: Options
    limits: Limits
    notes: Notes

    @property
    def speaks(self) -> bool:
        """An Alert or Update: it should say something, somewhere."""
        return self.head is not None and self.head.msg_type in (MsgType.ALERT, MsgType.UPDATE)


def dialect(seen: Scan) -> str | None:
    """`cap-1.2`, `cap-1.1`, `cn-12379`, `gbt-35965`, or None for any other root."""
    if seen.namespace == NATIONAL:
        return "gbt-35965" if _GBT_35965.fullmatch(seen.first("identifier")) else "cn-12379"
    if seen.root != "alert":
        return None
    return {CAP_12: "cap-1.2", CAP_11: "cap-1.1"}.get(seen.namespace)


def as_written(seen: Scan) -> dict[str, str]:
    """The head's texts as the sender wrote them, as far as they could be read; also counts of infos and areas."""
    names = _names(seen)
    sender = seen.first(names["sender"]) or seen.first("sender")
    texts = {name: seen.first(names.get(name, name)) for name in ("identifier", "sent", "status", "msgType")}
    texts["sender"] = sender
    counts = {"infos": str(seen.infos), "areas": str(seen.areas)}
    return {name: text[:_MOST_TEXT] for name, text in texts.items() if text} | counts


def _names(seen: Scan) -> dict[str, str]:
    """What the dialect calls the sender and the time of sending."""
    if seen.namespace == NATIONAL:
        return {"sender": "senderCode", "sent": "sendTime"}
    return {"sender": "sender", "sent": "sent"}


def read_head(seen: Scan, options: Options, limits: Limits, notes: Notes) -> Head | None:
    """The head, or None if it refuses the message (each reason is in `notes`)."""
    if dialect(seen) is None:
        _refuse_root(seen, notes)
        return None
    return _HeadReader(seen, options, limits, notes).read()


def _refuse_root(seen: Scan, notes: Notes) -> None:
    if seen.namespace in (CAP_12, CAP_11):
        notes.add("root_unknown", seen.root, f"/{seen.root}", 1)
    else:
        notes.add("namespace_unknown", seen.namespace, f"/{seen.root}", 1)


class _HeadReader:
    """Reads the head's elements one by one, so that a sender learns all its faults at once."""

    def __init__(self, seen: Scan, options: Options, limits: Limits, notes: Notes) -> None:
        self._seen, self._options, self._limits, self._notes = seen, options, limits, notes
        self._national = seen.namespace == NATIONAL
        self._names = _names(seen)

    def read(self) -> Head | None:
        identifier = self._name("identifier", "identifier_too_long")
        sender = self._sender()
        sent, sent_text = self._sent()
        status = self._word("status", Status)
        msg_type = self._word("msgType", MsgType)
        scope = self._word("scope", Scope)
        references = self._references(sender, msg_type)
        if self._notes.refused or sent is None or status is None or msg_type is None or scope is None:
            return None
        return Head(identifier, sender, sent, sent_text, status, msg_type, scope, references)

    def _add(self, code: str, what: str, name: str) -> None:
        entries = self._seen.head.get(name, ())
        self._notes.add(code, what, f"/{self._seen.root}/{name}", entries[0].line if entries else None)

    def _single(self, name: str) -> str:
        """The one text of a required element; "" after noting that it is missing or conflicting."""
        entries: list[HeadText] = self._seen.head.get(name, [])
        texts = {entry.text for entry in entries if entry.text}
        if not texts:
            self._add("required_missing", name, name)
        elif len(texts) > 1:
            self._add("required_conflicting", name, name)
        elif len(entries) > 1:
            self._add("element_repeated", name, name)
        return texts.pop() if len(texts) == 1 else ""

    def _name(self, name: str, too_long: str) -> str:
        text = self._single(name)
        if len(text) > self._limits.identifier:
            self._add(too_long, str(self._limits.identifier), name)
        if "," in text:
            self._add("comma_forbidden", text, name)
        if text and text.split() != [text]:
            self._add("identifier_characters", text, name)
        return text

    def _sender(self) -> str:
        """National: senderCode, or the agency's name where the code is missing."""
        if self._national and not self._seen.first("senderCode") and self._seen.first("sender"):
            self._add("sender_code_missing", "", "sender")
            return self._name("sender", "sender_too_long")
        return self._name(self._names["sender"], "sender_too_long")

    def _sent(self) -> tuple[Instant | None, str]:
        name = self._names["sent"]
        text = self._single(name)
        time = read_time(text, self._options.zone, space=self._national)
        if text and time.at is None:
            self._add("sent_unreadable", text, name)
        for code in time.codes:
            self._add(code, text, name)
        return time.at, text

    def _word(self, name: str, words: type[Word]) -> Word | None:
        text = self._single(name)
        known = {word.value: word for word in words}
        if text in known or not text:
            return known.get(text)
        if self._national and words is MsgType and (lenient := self._lenient(text, known)):
            self._add("msg_type_spelling", text, name)
            return lenient
        self._add("code_unknown", text, name)
        return None

    @staticmethod
    def _lenient(text: str, known: dict[str, Word]) -> Word | None:
        folded = {value.casefold(): word for value, word in known.items()}
        meant = text.casefold()
        return folded.get(_MISSPELT.get(meant, meant))

    def _references(self, sender: str, msg_type: MsgType | None) -> tuple[Reference, ...]:
        text = " ".join(entry.text for entry in self._seen.head.get("references", ()) if entry.text)
        if count_words(text, self._limits.references, commas=self._national) > self._limits.references:
            self._add("too_many_references", str(self._limits.references), "references")
            return ()
        read = self._read_references(text, sender)
        for code, what in read.notes:
            self._add(code, what, "references")
        if not read.found and msg_type is MsgType.CANCEL:
            self._add("cancel_without_references", "", "references")
        elif not read.found and msg_type is MsgType.UPDATE:
            self._add("update_without_references", "", "references")
        return read.found

    def _read_references(self, text: str, sender: str) -> References:
        if self._national:
            return read_national_references(text, sender, self._options.zone)
        return read_references(text, self._options.zone)
