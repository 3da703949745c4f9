from pathlib import Path

import pytest

from gateway.reference import areas, directory, regions
from gateway.reference.reasons import REASONS
from gateway.rules.remarks import SENTENCES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference-data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", [*REASONS, *SENTENCES])
def test_every_reason_and_finding_is_documented(code: str) -> None:
    assert f"`{code}`" in PAGE


@pytest.mark.parametrize("heading", [regions.HEADING, areas.HEADING, directory.HEADING])
def test_every_column_and_heading_is_documented(heading: dict[str, tuple[str, ...]]) -> None:
    for column, others in heading.items():
        assert f"`{column}`" in PAGE
        assert [title for title in others if title not in PAGE] == []
