"""Which of the two languages a request wants. Called by problems (Accept-Language) and by the pages (switch and cookie)."""

from __future__ import annotations

from aiohttp import web

LANGUAGES = ("zh", "en")
DEFAULT = "zh"
COOKIE = "lang"


def accepted(header: str) -> str:
    """The language an `Accept-Language` header prefers (RFC 9110 §12.5.4); Chinese if it names neither.

    >>> accepted("en-GB, zh;q=0.5")
    'en'
    """
    best, best_weight = DEFAULT, 0.0
    for part in header.split(","):
        tag, _, parameter = part.strip().partition(";")
        language, weight = tag.strip()[:2].lower(), _weight(parameter)
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def chosen(request: web.Request) -> str:
    """The console's language: `?lang=`, else the cookie that remembers it, else Chinese."""
    wanted = request.query.get("lang") or request.cookies.get(COOKIE, "")
    return wanted if wanted in LANGUAGES else DEFAULT


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
