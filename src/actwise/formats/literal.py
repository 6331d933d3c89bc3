"""Values in logs that are JSON in some records and Python in others."""

import ast
import json
from typing import Any

from actwise.formats.record import strict_json


def read_literal(text: str) -> Any:
    """Parse JSON, or else a Python literal that JSON can express.

    Raises:
        ValueError: When the text is neither.
    """
    try:
        return strict_json(text)
    except ValueError as error:
        try:
            parsed = ast.parse(text.strip(), mode="eval")
            value = ast.literal_eval(parsed)
            # Whatever JSON would write otherwise than it stands there (a tuple, a key that is a
            # number, a set) is no value of a log.
            if strict_json(json.dumps(value, allow_nan=False)) == value and not _repeats(parsed):
                return value
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            pass
        raise error


def _repeats(parsed: ast.AST) -> bool:
    """Return whether a key occurs twice in one object, of which Python keeps the last."""
    objects = (node.keys for node in ast.walk(parsed) if isinstance(node, ast.Dict))
    names = ([ast.dump(key) for key in keys if key is not None] for keys in objects)
    return any(len(found) > len(set(found)) for found in names)
