"""What models of other schema dialects give, as the declaration has it.

Strict dialects know no optional arguments and no open objects (see `exposure.dialects`): they give null for what is
absent, and an object as JSON text. Neither has another meaning here, since no argument takes null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast, get_origin

from kallyai_mcp.model.schema import RUN_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kallyai_mcp.model.command import Command


def tidy(command: Command, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments without nulls for what is optional, and with objects for text that holds one.

    Whatever else is wrong with them stays as it is, for the declaration to refuse.
    """
    fields = command.args.model_fields
    optional = {name for name, field in fields.items() if not field.is_required()}
    if command.is_recorded:
        optional |= RUN_ARGUMENTS.keys()
    objects = {name for name, field in fields.items() if get_origin(field.annotation) is dict}
    if not any(value is None or name in objects for name, value in arguments.items()):
        return arguments
    return {
        name: _object(value) if name in objects else value
        for name, value in arguments.items()
        if not (value is None and name in optional)
    }


def _object(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        read: Any = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return cast("dict[str, Any]", read) if isinstance(read, dict) else value
