"""Templates that want to grow, look around or call are refused, quickly and with their line."""

from __future__ import annotations

import pytest

from gateway.rules.sandbox import MAX_OUTPUT, TemplateFault, fill, make_environment

DATA = {"t": "text", "d": {"a": "1"}, "l": ["a", "b"] * 50, "big": "x" * 9000}
BOMBS = [
    "{{ 'a' * 10**10 }}",
    "{{ 'a'.ljust(10**9) }}",
    "{{ '%1000000000s' % 'a' }}",
    "{{ '{:>1000000000}'.format('a') }}",
    "{{ 'a'|center(10**9) }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% set x = 'aaaa' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
    "{% set x = 'aaaa' %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
    "{% set x = 9 %}" + "{% set x = x * x %}" * 40 + "{{ x }}",
    "{% set x = [t, t] %}{{ x }}",
    "{% set x %}{{ t }}{{ t }}{% endset %}{{ x }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% block text %}{{ self.text() }}{% endblock %}",
    "{% extends 'bomb' %}",
    "{% include 'bomb' %}",
    "{% import 'bomb' as b %}",
    "{{ 9**9**9 }}",
    "{% for a in t %}x{% endfor %}",
    "{% for a in l %}{{ big }}{% endfor %}",
    "{% for a in l %}{% for b in l %}{% for c in l %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in l recursive %}{{ loop(l) }}{% endfor %}",
    "{% for a in l %}{% block b %}{% endblock %}{% endfor %}",
    "{{ ''.__class__.__mro__ }}",
    "{{ t|attr('__class__') }}",
    "{{ t['__class__'] }}",
    "{% if t.__class__ %}x{% endif %}",
    "{{ d.items }}",
    "{{ d }}",
    "{{ lipsum(5) }}",
    "{{ cycler }}",
    "{{ super() }}",
    "{{ missing }}",
    "{{ missing.x }}",
    "{{ 1 / 0 }}",
    "{{ 3 < t }}",
    "{% if %}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "x" * (MAX_OUTPUT + 1),
]


@pytest.mark.parametrize("source", BOMBS, ids=lambda source: source[:40])
@pytest.mark.timeout(5)
def test_bombs_are_refused(source: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        fill(make_environment({"bomb": source}), "bomb", DATA)
    assert caught.value.name == "bomb"


def test_the_line_of_the_fault_is_told() -> None:
    with pytest.raises(TemplateFault) as caught:
        fill(make_environment({"bomb": "one\ntwo\n{{ t.upper() }}"}), "bomb", DATA)
    assert caught.value.line == 3


def test_what_templates_need_works() -> None:
    sources = {
        "plain": "{{ 3 * 4 }} {% if t %}{{ t|limit(3) }}{% endif %} {{ l|join('') |length }} {{ nothing|default('none') }}",
        "loop": "{% for each in d2 %}{{ loop.index }}{{ each }}{% if not loop.last %}、{% endif %}{% endfor %}",
        "parent": "{% block text %}{% set action = t or advice %}{{ action }}{{ action }}{% endblock %}",
        "child": "{% extends 'parent' %}{% set advice = 'go' %}",
    }
    environment = make_environment(sources)
    assert fill(environment, "plain", DATA)["text"] == "12 te… 100 none"
    assert fill(environment, "loop", {"d2": ["a", "b"]})["text"] == "1a、2b"
    assert fill(environment, "child", {"t": "", "advice": ""}) == {"text": "gogo"}


def test_data_is_never_compiled() -> None:
    assert fill(make_environment({"a": "{{ t }}"}), "a", {"t": "{{ 7*7 }}{% raw %}"})["text"] == "{{ 7*7 }}{% raw %}"
