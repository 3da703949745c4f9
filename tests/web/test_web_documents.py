"""What the documents promise: OpenAPI and docs/ name every route and every error code, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from web_world import House, serve

from gateway.web.openapi import codes_of
from gateway.web.problems import CODES, TITLES, refuse
from gateway.web.routes import API, PAGES

DOCS = Path(__file__).parents[2] / "docs"
API_PAGE = (DOCS / "api.md").read_text("utf-8")
CONSOLE_PAGE = (DOCS / "console.md").read_text("utf-8")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with serve() as house:
        yield house


async def document(house: House) -> Any:
    async with house.ask("/api/v1/openapi.json", key="") as answer:
        return await answer.json()


async def test_the_openapi_document_is_valid(house: House) -> None:
    assert list(OpenAPIV31SpecValidator(await document(house)).iter_errors()) == []


async def test_the_openapi_document_and_the_route_table_are_equal(house: House) -> None:
    paths = (await document(house))["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == {("POST" if route.method == "*" else route.method, route.address) for route in API}


async def test_the_openapi_document_tells_what_each_route_may_answer(house: House) -> None:
    post = (await document(house))["paths"]["/api/v1/alerts"]["post"]
    assert {"202", "200", "400", "401", "403", "408", "409", "413", "415", "422", "429", "503"} <= set(
        post["responses"]
    )
    assert set(post["requestBody"]["content"]) == {
        "application/cap+xml",
        "application/xml",
        "text/xml",
        "application/zip",
    }


def test_docs_name_every_route_of_the_api_and_no_other() -> None:
    named = set(re.findall(r"^\| `(GET|POST|\*)` \| `([^`]+)`", API_PAGE, re.MULTILINE))
    assert named == {(route.method, route.address) for route in API}


def test_docs_name_every_error_code_with_its_status_and_no_other() -> None:
    table = API_PAGE.split("## Error codes")[1]
    named = set(re.findall(r"^\| `(\w+)` \| (\d{3}) \|", table, re.MULTILINE))
    assert named == {(code, str(status)) for code, (status, _, _) in CODES.items()}


def test_docs_name_every_page() -> None:
    named = set(re.findall(r"^\| `(GET|POST)` \| `([^`]+)`", CONSOLE_PAGE, re.MULTILINE))
    assert named == {(route.method, route.address) for route in PAGES}


def test_every_code_is_used_and_every_route_names_known_codes() -> None:
    sources = "".join(path.read_text("utf-8") for path in (Path(__file__).parents[2] / "gateway/web").glob("*.py"))
    for code, (status, _, _) in CODES.items():
        assert sources.count(f'"{code}"') >= 2, f"{code} is never raised"
        assert status in TITLES
    for route in (*API, *PAGES):
        assert set(codes_of(route)) <= set(CODES)


def test_every_problem_says_what_happened_in_both_languages() -> None:
    words = dict.fromkeys(("name", "why", "count", "given", "wanted", "limit", "seconds", "roles", "method"), "x")
    for code in CODES:
        error = refuse(code, None, **words)
        assert "{" not in error.zh + error.en
        assert re.search(r"[一-鿿]", error.zh)
        assert not re.search(r"[一-鿿]", error.en)
