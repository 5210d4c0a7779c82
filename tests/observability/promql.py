"""What a PromQL expression asks for: metrics and labels. A tokenizer is enough: no operator makes a name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<variable>\$\w+)
    |(?P<range>\[[^\]]*\])
    |(?P<number>\d[\d.]*(?:e[+-]?\d+)?(?:ms|[smhdwy])?\b)
    |(?P<name>[a-zA-Z_:][\w:]*)
    |(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){},@])
    |(?P<space>\s+)
    """,
    re.VERBOSE,
)
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}


@dataclass(frozen=True)
class Asked:
    """`labels`: of the metric, in braces; of nothing, in `by (…)` and the like."""

    metric: str
    labels: frozenset[str]


def asked(expression: str) -> Iterator[Asked]:
    """Everything the expression asks for, in order."""
    tokens, at = list(_tokens(expression)), 0
    while at < len(tokens):
        kind, text = tokens[at]
        after = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        at += 1
        if kind != "name" or text in WORDS:
            continue
        if text in LISTS:
            close = tokens.index(("sign", ")"), at)
            yield Asked("", frozenset(name for kind, name in tokens[at:close] if kind == "name"))
            at = close
        elif after == "{":
            close = tokens.index(("sign", "}"), at)
            inside = tokens[at:close]
            yield Asked(text, frozenset(name for kind, name in inside if kind == "name"))
            at = close
        elif after != "(" and not _aggregates(tokens, at):
            yield Asked(text, frozenset())


def _aggregates(tokens: list[tuple[str, str]], at: int) -> bool:
    """`sum by (…) (…)`: the list comes before the parenthesis."""
    return at < len(tokens) and tokens[at][1] in {"by", "without"}


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(expression):
        found = TOKEN.match(expression, at)
        assert found, f"{expression[at:]!r}: not PromQL"
        at = found.end()
        if found.lastgroup not in {"space", "string", "range", "number"}:
            yield str(found.lastgroup), found[0]
