"""Tables as people keep them: CSV in UTF-8 (with or without BOM), UTF-16 or GB18030, and XLSX; headings in Chinese or English.

Called by the readers of regions, areas and directory. A row that cannot be used becomes a `Problem` with line, column and
reason; what makes the whole file useless (no such file, no heading) is a ConfigError.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import chain
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from gateway.errors import ConfigError
from gateway.reference.fields import Unfit
from gateway.reference.reasons import REASONS

T = TypeVar("T")

Heading = Mapping[str, Sequence[str]]
"""Our column names, each with the other headings it may bear in a file."""

_BRACKETS = re.compile(r"[（(【\[].*?[)）】\]]")
_INVISIBLE = "\ufeff\u200b\u200e\u200f \t\xa0\u3000"
_GUARDED = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


class Problem(NamedTuple):
    """Why a row cannot be used: where (`line` of the file, `column` by our name), what stood there, a stable `code`."""

    line: int
    column: str
    value: str
    code: str

    @property
    def zh(self) -> str:
        """The sentence in Chinese."""
        return REASONS[self.code][0]

    @property
    def en(self) -> str:
        """The sentence in English."""
        return REASONS[self.code][1]

    def __str__(self) -> str:
        return f"第{self.line}行 {self.column} {self.value!r}: {self.zh} / line {self.line}: {self.en}"


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """What a file gave: the rows that can be used and the problems of the others. Import it only if `ok`."""

    path: str
    rows: tuple[T, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Is every row usable?"""
        return not self.problems

    def sound(self) -> tuple[T, ...]:
        """The rows. Raises ConfigError at the first problem: nothing is taken in half."""
        if self.problems:
            first, more = self.problems[0], len(self.problems) - 1
            what = f"{first.zh} / {first.en} ({first.column}: {first.value!r}; {more} more)"
            raise ConfigError(f"{self.path}:{first.line}", what, "Correct the file; nothing of it was taken.")
        return self.rows


@dataclass(slots=True)
class Row:
    """One line of a table. Reading a cell that does not fit notes a problem and gives the default instead."""

    line: int
    cells: Sequence[str]
    columns: Mapping[str, int]
    problems: list[Problem] = field(default_factory=list)

    def text(self, column: str) -> str:
        """The cell, trimmed; "" if the table has no such column."""
        place = self.columns.get(column)
        return self.cells[place] if place is not None and place < len(self.cells) else ""

    def take(self, column: str, fit: Callable[[str], T], default: T) -> T:
        """What `fit` makes of the cell; the default if it is empty or does not fit."""
        text = self.text(column)
        if not text:
            return default
        try:
            return fit(text)
        except Unfit as unfit:
            self.blame(column, unfit.code)
            return default

    def need(self, column: str, fit: Callable[[str], T], default: T) -> T:
        """The same for a cell that must not be empty."""
        if not self.text(column):
            self.blame(column, "missing")
            return default
        return self.take(column, fit, default)

    def blame(self, column: str, code: str, value: str | None = None) -> None:
        """Note that this row cannot be used."""
        self.problems.append(Problem(self.line, column, self.text(column) if value is None else value, code))


@dataclass(frozen=True, slots=True)
class Table:
    """An opened table: its columns by our names, the other columns by their own, and its rows, to be read once."""

    path: str
    columns: Mapping[str, int]
    others: Mapping[str, int]
    lines: Iterator[tuple[int, list[str]]]

    def rows(self) -> Iterator[Row]:
        """Every line that is not empty. A line with more cells than headings is blamed: its cells have shifted."""
        width = 1 + max([*self.columns.values(), *self.others.values()])
        for number, cells in self.lines:
            cells = [unguarded(cell.strip(_INVISIBLE)) for cell in cells]
            if not any(cells):
                continue
            row = Row(number, cells, self.columns)
            if any(cells[width:]):
                row.blame("", "too_many_cells", ",".join(cells[width:]))
            yield row


def open_table(
    path: Path, heading: Heading, required: Sequence[str], mapping: Mapping[str, str] | None = None
) -> Table:
    """Open a .csv or .xlsx. `mapping`: further headings of this file, each with our name for it.

    Raises ConfigError if the file cannot be read or lacks a required column.
    """
    lines = _lines(path)
    try:
        line, titles = next((line, cells) for line, cells in lines if any(cells))
    except StopIteration:
        raise ConfigError(str(path), "the file is empty.", "Put the headings into its first line.") from None
    columns, others = _columns(titles, heading, mapping or {}, f"{path}:{line}")
    missing = [column for column in required if column not in columns]
    if missing:
        found = ", ".join(title for title in titles if title)
        raise ConfigError(
            f"{path}:{line}",
            f"缺少列 / columns are missing: {', '.join(missing)}; found: {found}.",
            "Name them so, in Chinese, or by a mapping.",
        )
    return Table(str(path), columns, others, lines)


def _columns(
    titles: Sequence[str], heading: Heading, mapping: Mapping[str, str], where: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Which of our columns stands where; the rest under their own titles."""
    names = {_plain(other): column for column, others in heading.items() for other in (column, *others)}
    names |= {_plain(title): column for title, column in mapping.items()}
    columns: dict[str, int] = {}
    others: dict[str, int] = {}
    for place, raw in enumerate(titles):
        title = raw.strip(_INVISIBLE)
        ours = names.get(_plain(title))
        if ours in columns:
            raise ConfigError(where, f"two columns mean {ours}: the second is {title!r}.", "Rename or remove one.")
        if ours:
            columns[ours] = place
        elif title:
            others[title] = place
    return columns, others


def _plain(title: str) -> str:
    """A heading without case, spaces and what stands in brackets: `人口（人）` -> `人口`."""
    return "".join(_BRACKETS.sub("", title).split()).strip(_INVISIBLE).casefold()


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot be read ({error.strerror}).", "Check the path and its permissions."
        ) from error
    if raw[:4] == b"PK\x03\x04":
        return _sheet(path, raw)
    if raw[:4] == b"\xd0\xcf\x11\xe0":
        raise ConfigError(str(path), "this is an old .xls workbook.", "Save it as .xlsx or .csv.")
    return _text(path, decoded(path, raw))


def decoded(path: Path, raw: bytes) -> str:
    """The text of a file in UTF-8, UTF-16 with BOM, or GB18030. Raises ConfigError for anything else."""
    sixteen = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ["utf-16"] if sixteen else ["utf-8-sig", "gb18030"]:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ConfigError(str(path), "neither UTF-8 nor GB18030.", "Save it as UTF-8.")


def _text(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV, each with the line it ends on. Tabs or semicolons part it where the heading has more of them."""
    title = text.lstrip("\ufeff").partition("\n")[0]
    delimiter = max(",\t;", key=title.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise ConfigError(
            f"{path}:{reader.line_num}", f"not a CSV table ({error}).", "Save it as CSV again."
        ) from error


def _sheet(path: Path, raw: bytes) -> Iterator[tuple[int, list[str]]]:
    """The rows of a workbook's first sheet."""
    try:
        book = load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        raise ConfigError(str(path), "not a workbook that can be read.", "Save it as .xlsx or .csv again.") from error
    try:
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # some writers state a wrong size
        for line, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            yield line, [_cell(cell) for cell in cells]
    finally:
        book.close()


def _cell(value: object) -> str:
    """A workbook's cell as text. A number too long for Excel's 15 digits has lost some: it is shown as 1.38E+17."""
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if abs(value) >= 1e15:
            return f"{value:.2E}"
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula: `'=1+1`. Numbers stay numbers."""
    return f"'{text}" if _GUARDED.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(cell: str) -> str:
    """The text that `guarded` wrote."""
    return cell[1:] if cell.startswith("'") and _GUARDED.match(cell) else cell


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A CSV line by line, with BOM so that spreadsheets read the Chinese; our readers give back exactly these cells."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\r\n")
    yield "\ufeff"
    for row in chain([columns], rows):
        writer.writerow([guarded(cell) for cell in row])
        yield line.getvalue()
        line.seek(0)
        line.truncate()


class Diff(NamedTuple):
    """What an import would change: keys that come, change and go, in order."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __str__(self) -> str:
        parts = zip(("+", "~", "-"), self, strict=True)
        return "; ".join(f"{sign}{len(keys)} {', '.join(keys[:5])}".rstrip() for sign, keys in parts)


def diff(old: Iterable[T], new: Iterable[T], key: Callable[[T], str]) -> Diff:
    """Compare two states of the same table."""
    before, after = {key(row): row for row in old}, {key(row): row for row in new}
    return Diff(
        tuple(name for name in after if name not in before),
        tuple(name for name, row in after.items() if name in before and before[name] != row),
        tuple(name for name in before if name not in after),
    )
