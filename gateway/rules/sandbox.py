"""A sandbox for operators' templates in which nothing can grow: no calls, no methods, no string arithmetic, no buffers.

Jinja's own sandbox keeps a template away from Python but lets it allocate gigabytes (`'a' * 10**10`, `'a'.ljust(10**9)`,
doubling by `set`). Here only the parts of the language on one short list compile, loops run over short lists
alone, and what comes out is metered. `rendering.Templates` is the only caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, TemplateError, TemplateNotFound, Undefined
from jinja2 import nodes as syntax
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gateway.rules.texts import clean_line, cut, ended

MAX_OUTPUT = 64 * 1024
"""Characters that one template may give."""
MAX_SOURCE = 64 * 1024
MAX_ITEMS = 200
MAX_LOOPS = 2
MAX_OPERAND = 10**9

ALLOWED = (
    syntax.Template, syntax.Output, syntax.TemplateData, syntax.Name, syntax.Const, syntax.Getattr, syntax.Getitem,
    syntax.If, syntax.For, syntax.CondExpr, syntax.Filter, syntax.Test, syntax.Compare, syntax.Operand, syntax.And,
    syntax.Or, syntax.Not, syntax.Add, syntax.Sub, syntax.Mul, syntax.Div, syntax.FloorDiv, syntax.Mod, syntax.Pow,
    syntax.Neg, syntax.Block, syntax.Extends, syntax.Assign, syntax.Keyword, syntax.List, syntax.Tuple,
)  # fmt: skip
LOOP_WORDS = frozenset({"first", "last", "index", "index0", "length"})


class TemplateFault(Exception):
    """A template that cannot be used: `name`, `line` (0 if unknown) and what is wrong, for people."""

    def __init__(self, name: str, line: int, what: str) -> None:
        super().__init__(f"{name}:{line}: {what}")
        self.name, self.line, self.what = name, line, what


class Sandbox(ImmutableSandboxedEnvironment):
    """Templates see plain data and the filters below; arithmetic is for small numbers only."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Numbers up to 10^9, and powers of numbers up to 10. Raises SecurityError for everything else."""
        limit = 10 if operator == "**" else MAX_OPERAND
        for side in (left, right):
            if type(side) not in (int, float) or abs(side) > limit:
                raise SecurityError(f"the operator {operator} is for small numbers only")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """No attribute of anything, but `loop.index` and its like."""
        return isinstance(obj, LoopContext) and attr in LOOP_WORDS

    def is_safe_callable(self, obj: Any) -> bool:
        """Nothing is called."""
        return False


class Shelf(BaseLoader):
    """Serves templates from a mapping, each looked through before it is compiled."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.sources = sources

    def load(self, environment: Environment, name: str, globals: MutableMapping[str, Any] | None = None) -> Template:
        """The compiled template `name`. Raises TemplateError: absent, not Jinja, or outside the permitted language."""
        source = self.sources.get(name)
        if source is None:
            raise TemplateNotFound(name)
        if len(source) > MAX_SOURCE:
            raise SecurityError(f"longer than {MAX_SOURCE} characters")
        tree = environment.parse(source, name)
        inspect(tree)
        code = environment.compile(tree, name, name)
        return environment.template_class.from_code(environment, code, globals if globals is not None else {})


def make_environment(sources: Mapping[str, str]) -> Sandbox:
    """An environment over `sources`: no globals, strict about missing variables, eight filters."""
    made = Sandbox(loader=Shelf(sources), undefined=StrictUndefined, finalize=_plain, autoescape=False, cache_size=1000)
    made.trim_blocks = made.lstrip_blocks = True
    made.globals.clear()
    default = made.filters["default"]
    made.filters = {
        "default": default, "join": _join, "length": len, "trim": lambda text: str(text).strip(), "each": _each,
        "sentence": ended, "oneline": clean_line, "limit": cut,
    }  # fmt: skip
    return made


def fill(environment: Sandbox, name: str, values: Mapping[str, Any]) -> dict[str, str]:
    """The blocks of a template by name, or its whole output as `text` if it has none. Raises TemplateFault."""
    try:
        template = environment.get_template(name)
        context = template.new_context(dict(values))
        whole = _Meter().take(template.root_render_func(context))  # also settles `extends`
        meter = _Meter()
        blocks = {block: meter.take(stack[0](context)) for block, stack in context.blocks.items()}
    except TemplateError as fault:
        raise TemplateFault(name, getattr(fault, "lineno", None) or 0, fault.message or type(fault).__name__) from fault
    except (ArithmeticError, LookupError, TypeError, ValueError, SyntaxError, RecursionError) as fault:
        raise TemplateFault(name, 0, f"{type(fault).__name__}: {fault}") from fault
    return blocks or {"text": whole}


class _Meter:
    """Adds up what a template gives."""

    def __init__(self) -> None:
        self.left = MAX_OUTPUT

    def take(self, pieces: Iterable[str]) -> str:
        taken = []
        for piece in pieces:
            self.left -= len(piece)
            if self.left < 0:
                raise SecurityError(f"gives more than {MAX_OUTPUT} characters")
            taken.append(piece)
        return "".join(taken)


def inspect(tree: syntax.Template) -> None:
    """Raises SecurityError at the first thing outside the permitted language; bounds every loop."""
    _inspect(tree, loops=0)


def _inspect(node: syntax.Node, loops: int) -> None:
    if not isinstance(node, ALLOWED):
        raise _refusal(node, f"{type(node).__name__} is not permitted in templates")
    if isinstance(node, syntax.For):
        loops += 1
        _bound_loop(node, loops)
    elif isinstance(node, syntax.Block) and loops:
        raise _refusal(node, "a block inside a loop is not permitted")
    elif isinstance(node, syntax.Name) and node.name == "self":
        raise _refusal(node, "self is not permitted")
    elif isinstance(node, syntax.List | syntax.Tuple) and not _constant(node):
        raise _refusal(node, "lists may hold constants only")
    for child in node.iter_child_nodes():
        _inspect(child, loops)


def _bound_loop(node: syntax.For, depth: int) -> None:
    if depth > MAX_LOOPS or node.recursive:
        raise _refusal(node, f"loops may be nested {MAX_LOOPS} deep and not recursive")
    each = syntax.Filter(node.iter, "each", [], [], None, None, lineno=node.lineno)
    node.iter = each.set_environment(node.environment) if node.environment else each


def _constant(node: syntax.List | syntax.Tuple) -> bool:
    return all(isinstance(item, syntax.Const) for item in node.items) or getattr(node, "ctx", "") == "store"


def _refusal(node: syntax.Node, what: str) -> SecurityError:
    refusal = SecurityError(what)
    refusal.lineno = node.lineno  # type: ignore[attr-defined]
    return refusal


def _plain(value: Any) -> Any:
    """Only text and numbers are printed; a missing variable stays missing and raises when it is printed."""
    if isinstance(value, Undefined) or type(value) in (str, int, float):
        return value
    raise SecurityError(f"a {type(value).__name__} cannot be printed")


def _each(items: Any) -> Iterator[Any]:
    if isinstance(items, Undefined) or not isinstance(items, list | tuple):
        raise SecurityError("loops run over lists only")
    if len(items) > MAX_ITEMS:
        raise SecurityError(f"loops run over {MAX_ITEMS} items at most")
    return iter(items)


def _join(items: Any, glue: str = "") -> str:
    if not isinstance(items, list | tuple) or sum(map(len, items)) + len(glue) * len(items) > MAX_OUTPUT:
        raise SecurityError("join takes a list of at most 64 KiB")
    return glue.join(items)
