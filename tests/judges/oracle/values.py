"""What the models say of single values in answers, as text or as JSON."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.model import Shape, StringShape

_ISO8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_INTEGER, _NUMBER = re.compile(r"-?\d+"), re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_INTEGERS, _NUMBERS = ("integer", "long"), ("float", "double")


def of_text(shape: Shape, text: str, path: str, default_format: str) -> Iterator[str]:
    """The problems of a value in XML or in a header.

    Args:
        default_format: of times: `iso8601`, `rfc822` or `unixTimestamp`.
    """
    kind = shape.type_name
    checks: dict[str, Callable[[], bool]] = {
        "string": lambda: _is_choice(shape, text),
        "character": lambda: len(text) == 1,
        "boolean": lambda: text in ("true", "false"),
        "blob": lambda: _is_base64(text),
        "timestamp": lambda: _is_time(
            shape.serialization.get("timestampFormat", default_format), text
        ),
        **dict.fromkeys(_INTEGERS, lambda: _INTEGER.fullmatch(text) is not None),
        **dict.fromkeys(_NUMBERS, lambda: _NUMBER.fullmatch(text) is not None),
    }
    if not checks[kind]():
        yield f"{path}: {text!r} is no {kind} of {shape.name}"


def of_json(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """The problems of a value in JSON, where times are numbers unless the model says otherwise."""
    kind = shape.type_name
    is_bool = isinstance(value, bool)
    checks: dict[str, Callable[[], bool]] = {
        "string": lambda: isinstance(value, str) and _is_choice(shape, value),
        "character": lambda: isinstance(value, str) and len(value) == 1,
        "boolean": lambda: is_bool,
        "blob": lambda: isinstance(value, str) and _is_base64(value),
        "timestamp": lambda: _is_time_of_json(shape, value),
        **dict.fromkeys(_INTEGERS, lambda: isinstance(value, int) and not is_bool),
        **dict.fromkeys(_NUMBERS, lambda: isinstance(value, int | float) and not is_bool),
    }
    if not checks[kind]():
        yield f"{path}: {value!r} is no {kind} of {shape.name}"


def _is_choice(shape: Shape, text: str) -> bool:
    choices = shape.enum if isinstance(shape, StringShape) else []
    return not choices or text in choices


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _is_time_of_json(shape: Shape, value: Any) -> bool:
    form = shape.serialization.get("timestampFormat", "unixTimestamp")
    if form == "unixTimestamp":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) and _is_time(form, value)


def _is_time(form: str, text: str) -> bool:
    match form.lower():
        case "iso8601":
            return _ISO8601.fullmatch(text) is not None
        case "unixtimestamp":
            return _NUMBER.fullmatch(text) is not None
        case "rfc822":
            try:
                return text.endswith("GMT") and parsedate_to_datetime(text) is not None
            except ValueError:
                return False
    raise ValueError(form)
