"""Values in logs that are JSON in some records and Python in others."""

import json
from typing import Any

from actwise.formats.record import strict_json
from actwise.template.calls import python_value


def read_literal(text: str) -> Any:
    """Parse JSON, or else a Python literal that JSON can express.

    Raises:
        ValueError: When the text is neither.
    """
    try:
        return strict_json(text)
    except ValueError as error:
        try:
            value = python_value(text.strip())
            # Whatever JSON would write otherwise than it stands there (a tuple, a key that is a
            # number, a set) is no value of a log.
            if strict_json(json.dumps(value, allow_nan=False)) == value:
                return value
        except (ValueError, TypeError, RecursionError):
            pass
        raise error
