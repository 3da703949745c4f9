"""The API as OpenAPI 3.1, made from the route table and the shapes; nothing is written twice. Called once, at start."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic.json_schema import models_json_schema

from gateway.web import shapes
from gateway.web.problems import CODES, title
from gateway.web.route import Route
from gateway.web.shapes import Shape

SCHEMAS = "#/components/schemas/"
PROBLEM = "application/problem+json"

ALWAYS = ("host_refused", "internal")
BEHIND_A_KEY = ("key_missing", "key_unknown", "session_ended", "too_fast", "wrong_keys")
FROM_THE_DESK = ("409", "422")

Document = dict[str, Any]


def document(routes: Sequence[Route], version: str) -> bytes:
    """The document, as JSON."""
    paths: Document = {}
    for route in routes:
        method = "post" if route.method == "*" else route.method.lower()
        paths.setdefault(route.address, {})[method] = _operation(route)
    content = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tongluo",
            "version": version,
            "description": "Public-warning gateway: CAP in, every channel out, coverage per region back.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"apiKey": []}, {"session": []}],
        "paths": paths,
        "components": {"schemas": _schemas(routes), "securitySchemes": _security()},
    }
    return json.dumps(content, ensure_ascii=False).encode()


def codes_of(route: Route) -> tuple[str, ...]:
    """Every code of ours that a route may answer with, in order of status."""
    codes = {*ALWAYS, *route.codes}
    if route.roles is not None:
        codes |= {*BEHIND_A_KEY, *(("role_denied",) if route.roles else ())}
        codes |= {"request_foreign"} if route.method == "POST" else set()
    return tuple(sorted(codes, key=lambda code: (CODES[code][0], code)))


def _operation(route: Route) -> Document:
    operation: Document = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route),
    }
    if route.takes:
        content = {kind: {"schema": _body(kind)} for kind in route.takes}
        operation["requestBody"] = {"required": route.pace == "posts", "content": content}
    if route.roles is None:
        operation["security"] = []
    if route.roles:
        operation["description"] = "Role: " + ", ".join(sorted(route.roles))
    return operation


def _path_parameters(route: Route) -> list[Document]:
    names = [part.split("}")[0] for part in route.address.split("{")[1:]]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(route: Route) -> list[Document]:
    return [{"name": one.name, "in": "query", "description": one.meaning, "schema": one.schema} for one in route.query]


def _responses(route: Route) -> Document:
    answers: Document = {
        str(status): {"description": "OK" if status < 300 else "Not ready", "content": _answer(route)}
        for status in route.statuses
    }
    for code in codes_of(route):
        status = str(CODES[code][0])
        if status in answers and "codes" not in answers[status]:
            continue
        answers.setdefault(status, {"codes": []})["codes"].append(code)
    if route.pace != "reads":
        for status in FROM_THE_DESK:
            answers.setdefault(status, {"codes": []})
    return {status: _described(status, answer) for status, answer in sorted(answers.items())}


def _described(status: str, answer: Document) -> Document:
    if "codes" not in answer:
        return answer
    words = title(int(status), "en") + (": " + ", ".join(answer["codes"]) if answer["codes"] else "")
    return {"description": words, "content": {PROBLEM: {"schema": {"$ref": f"{SCHEMAS}Problem"}}}}


def _answer(route: Route) -> Document:
    if isinstance(route.gives, str):
        schema: Document = {"type": "object"} if route.gives == "application/json" else {"type": "string"}
        return {route.gives: {"schema": schema}}
    one = {"$ref": SCHEMAS + route.gives.__name__}
    return {"application/json": {"schema": {"type": "array", "items": one} if route.many else one}}


def _body(kind: str) -> Document:
    return {"$ref": f"{SCHEMAS}Act"} if kind == "application/json" else {"type": "string", "format": "binary"}


def _schemas(routes: Sequence[Route]) -> Document:
    given: list[type[Shape]] = sorted(
        {route.gives for route in routes if not isinstance(route.gives, str)}, key=lambda shape: shape.__name__
    )
    wanted = [*((shape, "serialization") for shape in (*given, shapes.Problem)), (shapes.Act, "validation")]
    _, schemas = models_json_schema(wanted, ref_template=SCHEMAS + "{model}")  # type: ignore[arg-type]
    definitions: Document = schemas["$defs"]
    return definitions


def _security() -> Document:
    return {
        "bearer": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "session": {"type": "apiKey", "in": "cookie", "name": "tongluo_session"},
    }
