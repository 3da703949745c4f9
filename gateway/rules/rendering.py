"""In which words: one text per channel format and language, from sandboxed templates, within the budget of the channel.

`fanout` and `preview` call `render`; `check` calls `Templates.problems`. CAP text is data and is never compiled. What could not
be said as meant is flagged: `shortened`, `over_budget`, `cut`, `fell_back`, `language_missing`, `mark_neutralised`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.model.alert import Alert, MsgType, Scope, Status
from gateway.model.dispatch import Cause, Message
from gateway.rules.marking import FORGED, Mark, mark_of, put
from gateway.rules.sandbox import Sandbox, TemplateFault, fill, make_environment
from gateway.rules.speaking import spoken
from gateway.rules.texts import clean, clean_line, cut, shorter, sms_parts
from gateway.rules.wording import LONGEST, EventNames, Occasion, Values, base, event_code, subject, values_of

DEFAULT_LANGUAGE = "zh-CN"
MOMENTS = {Cause.LIFTED: "lifted", Cause.WITHDRAWN: "withdrawn"}
PLAIN_FIELDS = ("headline", "region", "grade", "event", "time", "instruction", "sender", "place", "description")


@dataclass(frozen=True, slots=True)
class Form:
    """What a format asks of its texts.

    aloud: it is spoken; short: it goes out in SMS parts; budget: characters that are soon too many (0 = any);
    rooms: the longest value of a field; in_line: on one line. WeChat: thing 20 characters, phrase 5 Hanzi.
    """

    aloud: bool = False
    short: bool = False
    budget: int = 0
    in_line: bool = False
    rooms: Mapping[str, int] = field(default_factory=dict)


WECHAT_ROOMS = {"headline": 20, "region": 20, "grade": 5, "event": 20, "instruction": 20, "sender": 20, "until": 20}
FORMS = {
    "sms": Form(short=True, in_line=True),
    "loudspeaker": Form(aloud=True, budget=600),
    "wechat": Form(rooms=WECHAT_ROOMS),
}

SAMPLE = Occasion(
    alert=Alert("sample", "sample", 0, Status.TEST, MsgType.ALERT, Scope.PUBLIC, "cap-1.2"), regions=("清原县",)
)
"""What `problems` tries templates on: every value is there."""

MARKED_FIELDS = ("headline", "instruction", "description")
HARD_PARTS = 10
LONG_READ = 1500
"""Characters of a description beyond which no shortening looks, unless the channel takes more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """For whom a text is made: `format` and `max_chars` of the channel's traits, `language` of the recipients.

    max_parts: short messages that one warning should fit in; signature: what SMS carriers want in 【】 at the front, "" = none.
    """

    format: str
    language: str
    max_chars: int = 0
    max_parts: int = 3
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The words of one variant, what is to be known about them, and how many SMS parts they take (1 for other formats)."""

    message: Message
    flags: tuple[str, ...] = ()
    parts: int = 1


class Templates:
    """The operator's templates by name, `format/language/what.txt.j2`; compiled once, read by every rendering."""

    def __init__(self, environment: Sandbox, names: frozenset[str]) -> None:
        self._environment = environment
        self.names = names

    @classmethod
    def from_mapping(cls, sources: Mapping[str, str]) -> Templates:
        """Templates from name -> source. Faulty ones are found by `problems`, and fall back when they are used."""
        return cls(make_environment(dict(sources)), frozenset(sources))

    def language_for(self, format: str, language: str) -> tuple[str, bool]:
        """The language whose templates serve `language`, and whether it really is that language: exact, base, then zh-CN."""
        held = sorted({name.split("/")[1] for name in self.names if name.startswith(f"{format}/")})
        exact = [each for each in held if each.lower() == language.lower()]
        near = [each for each in held if each.lower() == base(language)] + [
            each for each in held if base(each) == base(language)
        ]
        return next(
            ((each, True) for each in exact + near), (DEFAULT_LANGUAGE, base(language) == base(DEFAULT_LANGUAGE))
        )

    def find(self, format: str, language: str, code: str, moment: str) -> str | None:
        """The most particular template: of the event's code, of its prefixes, the general one; an Update's own before others."""
        wanted = {"update": ["update", "warning"]}.get(moment, [moment])
        scopes = [code[:length] for length in range(len(code), 0, -1)]
        special = [scope if each == "warning" else f"{scope}.{each}" for scope in scopes for each in wanted]
        paths = (f"{format}/{language}/{name}.txt.j2" for name in [*special, *wanted])
        return next((path for path in paths if path in self.names), None)

    def fill(self, name: str, values: Values) -> dict[str, str]:
        """The named blocks of a template. Raises TemplateFault."""
        return fill(self._environment, name, values)

    def problems(self) -> list[TemplateFault]:
        """Every template that does not compile or does not go through with a full set of values, by name."""
        return [fault for name in sorted(self.names) if (fault := self._problem(name))]

    def _problem(self, name: str) -> TemplateFault | None:
        try:
            self.fill(name, values_of(SAMPLE, "zh-CN", {}))
        except TemplateFault as fault:
            return fault
        return None


def render(occasion: Occasion, style: Style, templates: Templates, names: EventNames) -> Rendered:
    """The message for one variant, the same for `preview` and for the wire.

    Never raises for what an author or a template does: a missing variable or a faulty template gives headline and instruction.
    """
    language, present = templates.language_for(style.format, style.language)
    flags = list(_flags(occasion, style, language, present))
    draft = _Draft(occasion, style, templates, language, flags)
    message = draft.write(values_of(occasion, language, names))
    return Rendered(message, tuple(dict.fromkeys(flags)), sms_parts(message.text) if draft.form.short else 1)


def _flags(occasion: Occasion, style: Style, language: str, present: bool) -> Iterator[str]:
    """What is known before a word is written."""
    info = subject(occasion, language)
    if not present or (info and base(info.language or language) != base(style.language)):
        yield "language_missing"
    if info and max(map(len, (info.description, info.instruction, occasion.own_text))) > LONGEST:
        yield "cut"


class _Draft:
    """One variant on its way to its budget; every trial is the whole text, mark and all, as it would leave."""

    def __init__(self, occasion: Occasion, style: Style, templates: Templates, language: str, flags: list[str]) -> None:
        self.style, self.language, self.templates, self.flags = style, language, templates, flags
        self.form = FORMS.get(style.format, Form())
        chinese, status = base(language) == "zh", occasion.alert.status
        self.mark = mark_of(status, chinese=chinese, aloud=self.form.aloud)
        self.field_mark = mark_of(status, chinese=chinese or bool(self.form.rooms))
        moment = MOMENTS.get(occasion.cause, "update" if occasion.kind else "warning")
        info = subject(occasion, language)
        self.name = templates.find(style.format, language, event_code(info) if info else "", moment)

    def write(self, values: Values) -> Message:
        """The message, shortened until it fits."""
        body = self.body(self.blocks(values))
        if not self.fits(body):
            self.flags.append("shortened")
            values = self.shortened(values)
            body = self.body(self.blocks(values))
        return self.message(self.blocks(values), self.hard(body))

    def shortened(self, values: Values) -> Values:
        """The mildest shortening that fits; the harshest if none does."""
        milder = [{**values, **texts} for texts in _ever_shorter(values, max(self.style.max_chars, LONG_READ))]
        first = bisect_left(milder, True, key=lambda trial: self.fits(self.body(self.blocks(trial))))
        if first == len(milder):
            self.flags.append("over_budget")
        return milder[min(first, len(milder) - 1)]

    def blocks(self, values: Values) -> dict[str, str]:
        """The parts as the template gives them; headline, region and instruction if it cannot."""
        try:
            if self.name is None:
                raise TemplateFault(self.style.format, 0, "there is no template")
            return {
                name: re.sub(" {2,}", " ", clean(text)) for name, text in self.templates.fill(self.name, values).items()
            }
        except TemplateFault:
            self.flags.append("fell_back")
            return _fallback(values)

    def body(self, blocks: Mapping[str, str]) -> str:
        """The main text as it will leave, without the mark."""
        text = blocks.get("text", "")
        if self.form.in_line:
            text = clean_line(text)
        if self.form.short and self.style.signature:
            text = f"【{clean_line(self.style.signature)}】{text}"
        return spoken(_in_short_sentences(text), self.language) if self.form.aloud else text

    def fits(self, body: str) -> bool:
        """Whether the marked text keeps the budget."""
        size = len(body) + self.mark.size
        within = (not self.style.max_chars or size <= self.style.max_chars) and (
            not self.form.budget or size <= self.form.budget
        )
        return within and (not self.form.short or sms_parts(self.mark.front + body) <= self.style.max_parts)

    def hard(self, body: str) -> str:
        """What no far side would take is cut, and says so."""
        room = self.style.max_chars or (HARD_PARTS * 67 if self.form.short else 0)
        if not room or len(body) + self.mark.size <= room:
            return body
        self.flags.append("cut")
        return cut(body, max(room - self.mark.size, 1))

    def message(self, blocks: Mapping[str, str], body: str) -> Message:
        """The message with its mark on the text, the title and the fields that people read."""
        if not self.mark.word and any(map(FORGED.search, (body, *blocks.values()))):
            self.flags.append("mark_neutralised")
        fields = {name: self.field(name, text) for name, text in blocks.items() if name not in ("text", "title")}
        if self.form.aloud:
            fields["written"] = clean(put(self.field_mark, clean_line(blocks.get("text", ""))))
        title = clean_line(put(self.field_mark, clean_line(blocks.get("title", ""))))
        return Message(self.style.language, clean(put(self.mark, body)), title, tuple(fields.items()))

    def field(self, name: str, text: str) -> str:
        """One named part: marked where it is read as a sentence, cut to the room its platform gives."""
        room = self.form.rooms.get(name, 0)
        text = clean_line(text) if room else text
        mark = self.field_mark if name in MARKED_FIELDS and text else Mark(self.mark.word, self._phrase(name))
        if room and len(text) + mark.size > room:
            self.flags.append("shortened")
            text = cut(text, max(room - mark.size, 1))
        return clean(put(mark, text))

    def _phrase(self, name: str) -> str:
        """A WeChat phrase holds Hanzi only, so that the drill stands there without brackets: 演练橙色."""
        return self.mark.word if name == "grade" and "grade" in self.form.rooms else ""


def _ever_shorter(values: Values, room: int) -> Iterator[dict[str, str]]:
    """First the description down to nothing, then the instruction down to its first sentence."""
    description, instruction = cut(str(values["description"]), room), str(values["instruction"])
    for less in (description, *shorter(description, keep_first=False)):
        yield {"description": less}
    for less in shorter(cut(instruction, 2 * room), keep_first=True):
        yield {"description": "", "instruction": less}


def _fallback(values: Values) -> dict[str, str]:
    """Headline and instruction, with the places: what can always be said."""
    place = str(values["place"])
    lead = [str(values["headline"]), place if place not in str(values["headline"]) else "", str(values["instruction"])]
    text = "\n".join(part for part in lead if part)
    fields = {"region": place, "time": str(values["issued_on"])}
    plain = {name: str(values[name]) for name in PLAIN_FIELDS if name in values}
    return {**plain, **fields, "title": str(values["headline"]), "text": text}


def _in_short_sentences(text: str) -> str:
    """A line break or a semicolon is a breath."""
    return re.sub(r"\s*\n+\s*", "。", re.sub(r"(?<=[。！？，、：；])\s*\n+\s*", "", text)).replace("；", "。")
