"""The streaming pass: one look over the document, before any tree exists, that counts and refuses.

It holds no more than the few short texts of the head, so a bomb costs us a few milliseconds and its own bytes. `parse`
calls it first; what it has read of the head is known even when the rest is broken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

from gateway.cap.notes import Notes, Stop
from gateway.cap.options import Limits
from gateway.cap.words import HEAD

CAP_12 = "urn:oasis:names:tc:emergency:cap:1.2"
CAP_11 = "urn:oasis:names:tc:emergency:cap:1.1"
NATIONAL = "http://com.icss.amp"
_WATCHED = HEAD | {"info", "area", "polygon", "geocode"}

_SEPARATOR = "\x1f"  # cannot occur in XML, so a namespace cannot forge it
_CHUNK = 128 * 1024
_ATTRIBUTES = 1_000
_NAMESPACE = 256
_NAME = 512  # with its namespace
_REPEATS = 20

_TAG = rb"""<[^\s<>/!?=]++(?:\s++[^\s=<>]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'))"""
_WIDE_TAG = re.compile(_TAG + rb"{%d}" % (_ATTRIBUTES + 1))
_OPENED = re.compile(rb"<(?:!--|[^!])")
_LONG_NAME = re.compile(rb"<[^\s<>/!?=]{%d}" % (_NAME + 1))
_TOKEN = re.compile(rb"<!--.*?-->|<\?.*?\?>|</[^<>]*+>|" + _TAG + rb"*+\s*+/?>", re.DOTALL)


class HeadText(NamedTuple):
    """One occurrence of a head element: its whole text (comments and CDATA borders gone) and its line."""

    text: str
    line: int


@dataclass(slots=True)
class Scan:
    """What the pass saw. `complete` = well formed to the last byte and within every limit."""

    namespace: str = ""
    root: str = ""
    head: dict[str, list[HeadText]] = field(default_factory=dict)
    infos: int = 0
    areas: int = 0
    elements: int = 0
    complete: bool = False

    def first(self, name: str) -> str:
        """The first non-empty text of a head element, else ""."""
        return next((entry.text for entry in self.head.get(name, ()) if entry.text), "")


def scan(utf8: bytes, limits: Limits, notes: Notes, seen: Scan) -> None:
    """Look over a UTF-8 document and fill `seen`; faults go to `notes` (`not_well_formed`, `doctype_forbidden`, limits)."""
    watcher = _Watcher(limits, seen)
    try:
        watcher.read(utf8)
    except Stop as stop:
        notes.stopped(stop)
    except expat.ExpatError as error:
        notes.add("not_well_formed", expat.ErrorString(error.code), watcher.path, error.lineno)
    else:
        seen.complete = True


class _Watcher:
    """Handlers of one expat parser. Character data is listened to only inside the elements that need it."""

    def __init__(self, limits: Limits, seen: Scan) -> None:
        self.seen = seen
        self._limits = limits
        self._stack: list[str] = []
        self._text: list[str] = []
        self._watched: dict[str, str] = {}
        self._listening = 0
        self._points = self._points_here = self._geocodes = 0
        self._area_in_info = self._polygon_in_area = 0
        self._parser = parser = expat.ParserCreate("utf-8", _SEPARATOR, None)  # None: names are not kept for ever
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.buffer_size = 64 * 1024
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartNamespaceDeclHandler = self._namespace

    @property
    def path(self) -> str:
        """XPath of where the pass is now (indices for info, area and polygon)."""
        index = {"info": self.seen.infos, "area": self._area_in_info, "polygon": self._polygon_in_area}
        names = [name.rpartition(_SEPARATOR)[2][:_NAME] for name in self._stack]
        steps = [name + (f"[{index[name]}]" if depth and name in index else "") for depth, name in enumerate(names)]
        return "/" + "/".join(steps)

    def read(self, utf8: bytes) -> None:
        """Feed the document in chunks that never hold an unlooked-at giant tag."""
        fed = 0
        while fed < len(utf8):
            end = max(fed + _CHUNK, self._end_of_giant(utf8, fed))
            self._parser.Parse(utf8[fed:end], False)
            if not fed:
                self._refuse_crowd(utf8)
            fed = end
        self._parser.Parse(b"", True)

    def _refuse_crowd(self, utf8: bytes) -> None:
        """No element has more than two `<`: more of them than that mean a bomb of tags, comments or instructions."""
        if utf8.count(b"<") > 2 * self._limits.elements:
            raise self._over("too_many_elements", self._limits.elements)

    def _end_of_giant(self, utf8: bytes, fed: int) -> int:
        """Where a tag or comment ends that is unfinished after a whole chunk; its attributes are counted before expat
        keeps them all, and feeding it in one piece spares expat from starting on it again and again."""
        at = self._parser.CurrentByteIndex
        if fed - at <= _CHUNK:
            return 0
        if _WIDE_TAG.match(utf8, at):
            raise self._over("too_many_elements", _ATTRIBUTES)
        if _LONG_NAME.match(utf8, at):
            raise self._over("name_too_long", _NAME)
        token = _TOKEN.match(utf8, at)
        if token is None and _OPENED.match(utf8, at):
            raise Stop("not_well_formed", "unclosed token", self.path, self._parser.CurrentLineNumber)
        return token.end() if token else len(utf8)

    def _over(self, code: str, limit: int) -> Stop:
        return Stop(code, str(limit), self.path, self._parser.CurrentLineNumber)

    def _doctype(self, *_: object) -> None:
        raise Stop("doctype_forbidden", line=self._parser.CurrentLineNumber)

    def _namespace(self, _prefix: str | None, uri: str | None) -> None:
        if uri and len(uri) > _NAMESPACE:
            raise self._over("name_too_long", _NAMESPACE)

    def _start(self, name: str, attributes: list[str]) -> None:
        seen, stack, limits = self.seen, self._stack, self._limits
        stack.append(name)
        seen.elements += 1
        if attributes or seen.elements > limits.elements or len(stack) > limits.depth or len(name) > _NAME:
            self._measure(len(name), len(attributes) // 2)
        if len(stack) == 1:
            self._root(name)
        elif name in self._watched:
            self._enter(self._watched[name], len(stack))

    def _measure(self, name: int, attributes: int) -> None:
        self.seen.elements += attributes
        if attributes > _ATTRIBUTES or self.seen.elements > self._limits.elements:
            raise self._over("too_many_elements", self._limits.elements)
        if len(self._stack) > self._limits.depth:
            raise self._over("too_deep", self._limits.depth)
        if name > _NAME:
            raise self._over("name_too_long", _NAME)

    def _root(self, name: str) -> None:
        """From now on only the root's namespace is watched; in the national dialect names without one as well."""
        namespace, separator, self.seen.root = name.rpartition(_SEPARATOR)
        self.seen.namespace = namespace
        self._watched = {namespace + separator + local: local for local in _WATCHED}
        if namespace == NATIONAL:
            self._watched |= {local: local for local in _WATCHED}

    def _enter(self, local: str, depth: int) -> None:
        if depth == 2 and local in HEAD and not self._listening:
            if len(self.seen.head.get(local, ())) == _REPEATS:
                raise Stop("required_conflicting", local, self.path, self._parser.CurrentLineNumber)
            self._listen(depth, self._text.append)
        elif local == "polygon" and not self._listening:
            self._polygon_in_area += 1
            self._points_here = 0
            self._listen(depth, self._count_points)
        elif local == "geocode" and not self._listening:
            self._listen(depth, self._count_geocodes)
            self._count_geocodes(",")
        elif local == "area":
            self._area_in_info, self._polygon_in_area = self._area_in_info + 1, 0
            self.seen.areas += 1
        elif local == "info" and depth == 2:
            self._area_in_info = 0
            self.seen.infos += 1
            if self.seen.infos > self._limits.infos:
                raise self._over("too_many_infos", self._limits.infos)

    def _listen(self, depth: int, handler: object) -> None:
        self._listening = depth
        self._line = self._parser.CurrentLineNumber
        self._parser.CharacterDataHandler = handler  # type: ignore[assignment]

    def _end(self, _name: str) -> None:
        if self._listening == len(self._stack):
            self._listening = 0
            self._parser.CharacterDataHandler = None
            self._keep(self._watched[self._stack[-1]])
        self._stack.pop()

    def _keep(self, local: str) -> None:
        if local in HEAD:
            entry = HeadText("".join(self._text).strip(), self._line)
            self.seen.head.setdefault(local, []).append(entry)
            self._text.clear()

    def _count_points(self, text: str) -> None:
        commas = text.count(",")
        self._points += commas
        self._points_here += commas
        if self._points_here > self._limits.points_per_polygon:
            raise self._over("polygon_too_large", self._limits.points_per_polygon)
        if self._points > self._limits.points:
            raise self._over("too_many_points", self._limits.points)

    def _count_geocodes(self, text: str) -> None:
        self._geocodes += text.count(",") + text.count("，")
        if self._geocodes > self._limits.geocodes:
            raise self._over("too_many_geocodes", self._limits.geocodes)
