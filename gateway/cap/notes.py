"""The notebook of one reading: every room of `gateway.cap` writes its findings here; `parse` hands them out."""

from __future__ import annotations

from gateway.cap.codes import CODES, sentence
from gateway.model.alert import Finding, Weight

_MOST = 200


class Stop(Exception):
    """Reading cannot go on. Caught in `gateway.cap`, never seen outside; becomes the finding `code`."""

    def __init__(self, code: str, what: str = "", xpath: str = "/", line: int | None = None) -> None:
        super().__init__(code)
        self.code, self.what, self.xpath, self.line = code, what, xpath, line


class Notes:
    """Findings in the order they were made. After 200 only errors are added: a hostile message has no end of faults."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self.refused = False

    def add(self, code: str, what: str = "", xpath: str = "/", line: int | None = None) -> None:
        """Note one finding."""
        level = CODES[code].level
        self.refused |= level is Weight.ERROR
        if len(self._findings) < _MOST or level is Weight.ERROR:
            self._findings.append(Finding(code, level, xpath, line, sentence(code, what)))
        elif len(self._findings) == _MOST:
            self._findings.append(Finding("findings_cut", Weight.INFO, "/", None, sentence("findings_cut")))

    def stopped(self, stop: Stop) -> None:
        """Note why reading stopped."""
        self.add(stop.code, stop.what, stop.xpath, stop.line)

    @property
    def full(self) -> bool:
        """Further findings would not be kept: no need to work out where they are."""
        return len(self._findings) > _MOST

    def findings(self) -> tuple[Finding, ...]:
        """All of them, heaviest first, otherwise in the order of the document."""
        order = list(Weight)
        return tuple(sorted(self._findings, key=lambda finding: order.index(finding.level)))
