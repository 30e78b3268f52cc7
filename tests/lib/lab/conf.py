# SPDX-License-Identifier: BSD-3-Clause
"""vswitchd's configuration file from Python data: a dict becomes a group, a list of dicts a list of groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Value = Any  # bool, int, float, str, Mapping[str, Value], Sequence[Value]


def render(settings: Mapping[str, Value]) -> str:
    """The text of a file; None leaves a setting out."""
    return "".join(f"{name} = {_value(value, 0)};\n" for name, value in settings.items() if value is not None)


def _value(value: Value, depth: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    indent = "\t" * (depth + 1)
    if isinstance(value, Mapping):
        members = " ".join(
            f"{name} = {_value(each, depth)};" for name, each in value.items() if each is not None
        )
        return f"{{ {members} }}"
    if isinstance(value, Sequence):
        if not value:
            return "()"
        if any(isinstance(each, (Mapping, list)) for each in value):
            return (
                "(\n"
                + ",\n".join(indent + _value(each, depth + 1) for each in value)
                + "\n"
                + "\t" * depth
                + ")"
            )
        return "[" + ", ".join(_value(each, depth) for each in value) + "]"
    raise TypeError(f"no such thing in a configuration file: {value!r}")
