"""The tree of an accepted message, and `Node`: one element as the readers of both dialects see it.

A tree is built only after the streaming pass. Text is always the whole text: comments and processing instructions are
dropped while parsing, CDATA joined, and the text of stray markup kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, cast

from lxml import etree

from gateway.cap.fields import read_number, read_time
from gateway.cap.notes import Notes, Stop
from gateway.model.alert import NameValue
from gateway.model.time import Instant

SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
_MISNAMED = {"reference", "point"}
_TARGETS = {"polygon", "point", "circle"}

Repair = tuple[str, str]
Value = TypeVar("Value")


def build(utf8: bytes) -> etree._Element:
    """The root element. Raises Stop(`not_well_formed`) for what libxml2 finds and the streaming pass did not."""
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        return etree.fromstring(utf8, parser)
    except etree.XMLSyntaxError as error:
        raise Stop("not_well_formed", error.msg or "", line=error.lineno) from error


def whole_text(element: etree._Element) -> str:
    """All text in an element, trimmed."""
    return ("".join(map(str, element.itertext())) if len(element) else element.text or "").strip()


def split_tag(element: etree._Element) -> tuple[str, str]:
    """(namespace, local name)."""
    namespace, brace, local = str(element.tag).rpartition("}")
    return namespace[1:] if brace else "", local


def path_of(element: etree._Element) -> str:
    """XPath with local names; an index where a sibling has the same name."""
    steps = []
    here: etree._Element | None = element
    while here is not None:
        steps.append(split_tag(here)[1] + _index(here))
        here = here.getparent()
    return "/" + "/".join(reversed(steps))


def _index(element: etree._Element) -> str:
    before = sum(1 for _ in element.itersiblings(element.tag, preceding=True))
    alone = not before and next(element.itersiblings(element.tag), None) is None
    return "" if alone else f"[{before + 1}]"


class Node:
    """One element with its children by name. `names` are the known children in the order of the schema.

    Children in the root's namespace count; in the national dialect those without a namespace too. What is misnamed,
    foreign or out of sequence is noted once, when the node is made; `lost` is then True if a target was among it.
    """

    __slots__ = ("_groups", "_lenient", "_namespace", "_notes", "element", "lost", "lost_code")

    def __init__(
        self, element: etree._Element, namespace: str, names: Sequence[str], notes: Notes, lenient: bool = False
    ) -> None:
        self.element = element
        self._namespace, self._notes, self._lenient = namespace, notes, lenient
        self.lost = self.lost_code = False
        self._groups: dict[str, list[etree._Element]] = {}
        self._sort(names)

    def _sort(self, names: Sequence[str]) -> None:
        ranks = {name: rank for rank, name in enumerate(names)}
        highest, misplaced = 0, ""
        for child in self.element:
            namespace, local = split_tag(child)
            if namespace != self._namespace and not (self._lenient and not namespace):
                self._note_foreign(child, namespace, local, ranks)
            elif local not in ranks:
                self._note_stranger(child, local, ranks)
            else:
                misplaced = misplaced or (local if ranks[local] < highest else "")
                highest = max(highest, ranks[local])
                self._groups.setdefault(local, []).append(child)
        if misplaced and not self._lenient:
            self.note("element_out_of_sequence", misplaced)

    def _note_foreign(self, child: etree._Element, namespace: str, local: str, ranks: dict[str, int]) -> None:
        if child.tag == SIGNATURE:
            return
        if local in ranks:
            self._lose(local)
            self.note("element_foreign", local, child)
        else:
            self.note("element_extension", local, child)

    def _note_stranger(self, child: etree._Element, local: str, ranks: dict[str, int]) -> None:
        folded = local.casefold()
        misnamed = folded in _MISNAMED or any(folded == name.casefold() for name in ranks)
        self._lose(folded)
        self.note("element_misnamed" if misnamed else "element_unknown", local, child)

    def _lose(self, name: str) -> None:
        self.lost |= name in _TARGETS
        self.lost_code |= name.casefold() == "geocode"

    def note(self, code: str, what: str = "", at: etree._Element | None = None) -> None:
        """Note a finding here or at a child."""
        if not self._notes.full:
            place = self.element if at is None else at
            self._notes.add(code, what, path_of(place), cast("int | None", place.sourceline))

    def node(self, element: etree._Element, names: Sequence[str]) -> Node:
        """A child of ours, as a node."""
        return Node(element, self._namespace, names, self._notes, self._lenient)

    def all(self, name: str) -> Sequence[etree._Element]:
        """The children of that name."""
        return self._groups.get(name, ())

    def nodes(self, name: str, names: Sequence[str]) -> Iterator[Node]:
        """The children of that name as nodes, whose own children are called `names`."""
        return (self.node(element, names) for element in self.all(name))

    def words(self, name: str) -> list[str]:
        """The texts of the non-empty children of that name."""
        return [text for element in self.all(name) if (text := self._text(element))]

    def text(self, name: str) -> str:
        """A text that should occur once. Several different ones are joined by a line break, with a warning."""
        texts = self._distinct(name)
        return "\n".join(texts)

    def code(self, name: str) -> str:
        """A word that should occur once; the first of several, with a warning."""
        return next(iter(self._distinct(name)), "")

    def _distinct(self, name: str) -> list[str]:
        texts = list(dict.fromkeys(self.words(name)))
        if len(self.all(name)) > 1:
            self.note("element_repeated", name, self.all(name)[1])
        return texts

    def _text(self, element: etree._Element) -> str:
        if len(element):
            self.note("markup_in_text", split_tag(element)[1], element)
        return whole_text(element)

    def time(self, name: str, zone: str) -> Instant | None:
        """A time that may be absent; an unreadable one counts as absent, with a warning."""
        text = self.code(name)
        if not text:
            return None
        read = read_time(text, zone, space=self._lenient)
        for code in read.codes if read.at is not None else ("time_unreadable",):
            self.note(code, text, self.all(name)[0])
        return read.at

    def number(self, name: str) -> float | None:
        """A number that may be absent; an unreadable one counts as absent, with a warning."""
        text = self.code(name)
        number = read_number(text) if text else None
        if text and number is None:
            self.note("number_unreadable", text, self.all(name)[0])
        return number

    def pairs(self, name: str) -> tuple[NameValue, ...]:
        """<geocode>, <eventCode>, <parameter>: each a valueName and a value, which may be empty."""
        plain = [f"{{{self._namespace}}}valueName", f"{{{self._namespace}}}value"]
        return tuple(self._pair(element, plain) for element in self.all(name))

    def _pair(self, element: etree._Element, plain: list[str]) -> NameValue:
        if [child.tag for child in element if not len(child)] == plain and len(element) == 2:
            pair = NameValue((element[0].text or "").strip(), (element[1].text or "").strip())
        else:
            node = self.node(element, ("valueName", "value"))
            pair = NameValue(node.code("valueName"), node.text("value"))
        if not pair.value:
            self.note("value_empty", pair.name, element)
        return pair

    def repaired(
        self, name: str, read: Callable[[str], tuple[Value | None, tuple[Repair, ...]]], empty: str
    ) -> list[Value]:
        """Shapes of that name, each read and its repairs noted; `empty` is the finding for an empty one ("" = none)."""
        values = []
        for element in self.all(name):
            text = self._text(element)
            value, repairs = read(text) if text else (None, ((empty, ""),) if empty else ())
            for code, what in repairs:
                self.note(code, what, element)
            self.lost |= value is None and bool(text or empty)
            values += [value] if value is not None else []
        return values
