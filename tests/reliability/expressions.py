"""DynamoDB's condition, key condition and update expressions, as far as the product writes them.

Whatever is not known here is refused with `Unsupported`, so that nothing passes because nobody looked.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

Value = Mapping[str, Any]
"""An attribute's value as DynamoDB writes it: `{"S": "text"}`, `{"N": "1"}`, `{"B": b"…"}`."""
Item = Mapping[str, Value]
Condition = Callable[[Item], bool]

_TOKEN = re.compile(r"\s*(<=|>=|<>|[#:][A-Za-z0-9_]+|[A-Za-z_][A-Za-z0-9_]*|[(),=<>+\-])")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Unsupported(BaseException):
    """Something that the double does not know: no `except Exception` of the product may hide it."""


class Names(NamedTuple):
    """What the placeholders of a request stand for."""

    names: Mapping[str, str]
    values: Mapping[str, Value]

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Names:
        """Those of a request."""
        return cls(request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {}))


def plain(value: Value) -> tuple[str, Any]:
    """The type of a value and what Python compares as DynamoDB does: numbers as numbers, texts by code point."""
    ((kind, content),) = value.items()
    if kind == "N":
        return kind, Decimal(content)
    if kind in {"S", "B", "BOOL", "NULL"}:
        return kind, content
    raise Unsupported(f"values of the type {kind}")


def condition(text: str, names: Names) -> Condition:
    """What a condition expression means."""
    tree = _parsed(text)
    return lambda item: _holds(tree, item, names)


class KeyRange(NamedTuple):
    """A key condition: the hash key's name and value, and of the range key its name, the comparison and the values."""

    hash_name: str
    hash_value: Value
    range_name: str = ""
    comparison: str = ""
    range_values: tuple[Value, ...] = ()


def key_condition(text: str, names: Names) -> KeyRange:
    """What a key condition expression means: `hash = value`, alone or with one condition on the range key."""
    tree = _parsed(text)
    first, rest = (tree[1], tree[2]) if tree[0] == "AND" else (tree, None)
    if first[0] != "=" or first[1][0] != "name" or first[2][0] != "value":
        raise Unsupported(f"the key condition {text}")
    wanted = KeyRange(names.names[first[1][1]], names.values[first[2][1]])
    if rest is None:
        return wanted
    if rest[0] not in {*_COMPARISONS, "BETWEEN", "begins_with"}:
        raise Unsupported(f"the key condition {text}")
    bounds = tuple(names.values[operand[1]] for operand in rest[2:])
    return wanted._replace(range_name=names.names[rest[1][1]], comparison=rest[0], range_values=bounds)


def updated(text: str, names: Names, item: Item) -> dict[str, Value]:
    """An item after an update expression; every value is read from the item before it."""
    after = dict(item)
    for action, target, operand in _update(text):
        name = names.names[target]
        if action == "SET":
            after[name] = _calculated(operand, item, names)
        elif action == "REMOVE":
            after.pop(name, None)
        else:
            before = _number(item[name]) if name in item else Decimal(0)
            after[name] = _written(before + _number(names.values[operand[1]]))
    return after


# --- reading ------------------------------------------------------------------------------------------------


class _Reader:
    """The words of an expression, one after the other."""

    def __init__(self, text: str) -> None:
        self.text, self.words, position = text, [], 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if not found:
                raise Unsupported(f"the expression {text}")
            self.words.append(found[1])
            position = found.end()
        self.at = 0

    @property
    def next(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def take(self, *expected: str) -> str:
        word = self.next
        if expected and word not in expected:
            raise Unsupported(f"'{word}' in the expression {self.text}")
        self.at += 1
        return word

    def took(self, word: str) -> bool:
        if self.next != word:
            return False
        self.at += 1
        return True


@functools.cache
def _parsed(text: str) -> Any:
    reader = _Reader(text)
    tree = _either(reader)
    reader.take("")
    return tree


def _either(reader: _Reader) -> Any:
    tree = _both(reader)
    while reader.took("OR"):
        tree = ("OR", tree, _both(reader))
    return tree


def _both(reader: _Reader) -> Any:
    tree = _single(reader)
    while reader.took("AND"):
        tree = ("AND", tree, _single(reader))
    return tree


def _single(reader: _Reader) -> Any:
    if reader.took("NOT"):
        return ("NOT", _single(reader))
    if reader.took("("):
        tree = _either(reader)
        reader.take(")")
        return tree
    if reader.next in {"attribute_exists", "attribute_not_exists", "begins_with"}:
        return _function(reader)
    left = _operand(reader)
    if reader.took("BETWEEN"):
        low = _operand(reader)
        reader.take("AND")
        return ("BETWEEN", left, low, _operand(reader))
    if reader.took("IN"):
        reader.take("(")
        options = [_operand(reader)]
        while reader.took(","):
            options.append(_operand(reader))
        reader.take(")")
        return ("IN", left, options)
    return (reader.take(*_COMPARISONS), left, _operand(reader))


def _function(reader: _Reader) -> Any:
    name = reader.take()
    reader.take("(")
    path = _operand(reader)
    if name != "begins_with":
        reader.take(")")
        return (name, path)
    reader.take(",")
    prefix = _operand(reader)
    reader.take(")")
    return (name, path, prefix)


def _operand(reader: _Reader) -> tuple[str, str]:
    word = reader.take()
    if word.startswith("#"):
        return ("name", word)
    if word.startswith(":"):
        return ("value", word)
    raise Unsupported(f"'{word}' in the expression {reader.text}")


@functools.cache
def _update(text: str) -> list[tuple[str, str, Any]]:
    reader, actions = _Reader(text), []
    while reader.next:
        action = reader.take("SET", "REMOVE", "ADD")
        while True:
            target = _operand(reader)[1]
            operand = None
            if action == "SET":
                reader.take("=")
                operand = _sum(reader)
            elif action == "ADD":
                operand = _operand(reader)
            actions.append((action, target, operand))
            if not reader.took(","):
                break
    return actions


def _sum(reader: _Reader) -> Any:
    left = _term(reader)
    if reader.next in {"+", "-"}:
        return (reader.take(), left, _term(reader))
    return left


def _term(reader: _Reader) -> Any:
    if not reader.took("if_not_exists"):
        return _operand(reader)
    reader.take("(")
    path = _operand(reader)
    reader.take(",")
    otherwise = _operand(reader)
    reader.take(")")
    return ("if_not_exists", path, otherwise)


# --- meaning ------------------------------------------------------------------------------------------------


def _holds(tree: Any, item: Item, names: Names) -> bool:
    kind = tree[0]
    if kind == "AND":
        return _holds(tree[1], item, names) and _holds(tree[2], item, names)
    if kind == "OR":
        return _holds(tree[1], item, names) or _holds(tree[2], item, names)
    if kind == "NOT":
        return not _holds(tree[1], item, names)
    if kind == "attribute_exists":
        return _read(tree[1], item, names) is not None
    if kind == "attribute_not_exists":
        return _read(tree[1], item, names) is None
    return _compared(kind, tree, item, names)


def _compared(kind: str, tree: Any, item: Item, names: Names) -> bool:
    left = _read(tree[1], item, names)
    if left is None:
        return False
    if kind == "IN":
        return any(_is(operator.eq, left, _read(option, item, names)) for option in tree[2])
    if kind == "BETWEEN":
        low, high = (_read(bound, item, names) for bound in tree[2:])
        return _is(operator.ge, left, low) and _is(operator.le, left, high)
    right = _read(tree[2], item, names)
    if kind == "begins_with":
        return _is(lambda text, prefix: text.startswith(prefix), left, right)
    return _is(_COMPARISONS[kind], left, right)


def _is(comparison: Callable[[Any, Any], bool], left: Value, right: Value | None) -> bool:
    if right is None:
        return False
    (kind, one), (other_kind, other) = plain(left), plain(right)
    return kind == other_kind and comparison(one, other)


def _read(operand: tuple[str, str], item: Item, names: Names) -> Value | None:
    kind, word = operand
    return names.values[word] if kind == "value" else item.get(names.names[word])


def _calculated(operand: Any, item: Item, names: Names) -> Value:
    kind = operand[0]
    if kind in {"+", "-"}:
        left, right = (_number(_calculated(side, item, names)) for side in operand[1:])
        return _written(left + right if kind == "+" else left - right)
    if kind == "if_not_exists":
        return _read(operand[1], item, names) or _calculated(operand[2], item, names)
    found = _read(operand, item, names)
    if found is None:
        raise Unsupported("an update that reads what is not there")
    return found


def _number(value: Value) -> Decimal:
    if "N" not in value:
        raise Unsupported("a sum of what is no number")
    return Decimal(value["N"])


def _written(number: Decimal) -> Value:
    return {"N": format(number.normalize(), "f")}
