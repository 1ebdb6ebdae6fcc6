"""The search surface: tools that find, describe and run all others. What runs is the tool found, by the same path.

A run through it is turned into the run of the tool itself before anything else looks at it. So its rules, the question
to the user, the answer and the record are those of a direct run; the state of a run that waits for a person is bound to
the name and arguments of the request, which hold those of the tool.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.errors import InvalidArguments, KallyError, Problem
from kallyai_mcp.exposure import FIRST, index, surface, tool_name
from kallyai_mcp.server.listing import load_tool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_types import CallToolRequestParams

    from kallyai_mcp.exposure import Exposure

_RUNS = (surface.RUN, surface.READ)


def is_run(name: str) -> bool:
    """Whether this tool of the surface runs another one."""
    return name in _RUNS


def wanted(exposure: Exposure, params: CallToolRequestParams) -> CallToolRequestParams:
    """Return the parameters of the run that a run through the surface stands for.

    Arguments may stand beside the tool's name instead of within `arguments`, and may be JSON text: both have one
    meaning only.

    Raises:
        InvalidArguments: No tool is named, or one of the surface itself, or the arguments cannot be told apart.
        UnknownCommand: The tool is hidden, or there is none of this name.
        KallyError: It does more than read, and only reading was asked for.
    """
    given = dict(params.arguments or {})
    tool, nested = given.pop("tool", None), given.pop("arguments", None)
    if not isinstance(tool, str) or not tool.strip():
        raise _wrong(params.name, "tool", f"is required: the name of a tool, as {surface.FIND} tells.")
    arguments = _read(params.name, nested)
    if arguments and given:
        raise _wrong(params.name, ", ".join(sorted(given))[:200], "must stand within arguments, as the others do.")
    name = _named(exposure, tool, params.name, "tool")
    if params.name == surface.READ and not index()[name].reads:
        raise KallyError(
            f"{name} does more than read; it was not run.",
            code="invalid_arguments",
            next_step=f"Run it with {surface.RUN} if the user wants it."
            if surface.RUN in exposure.listed
            else "Only tools that read can be run here. Tell the user.",
        )
    return params.model_copy(update={"name": name, "arguments": arguments or given})


def looked_up(exposure: Exposure, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Find or describe tools, and return the result as it goes over the wire.

    Raises:
        InvalidArguments: The arguments break the tool's schema.
        UnknownCommand: A tool to be described is hidden, or there is none of this name.
    """
    _require_known(name, arguments)
    tools = _found(exposure, arguments) if name == surface.FIND else _described(exposure, arguments)
    if name == surface.FIND and not tools:
        said = "No tool was found for these words."
        if exposure.allows(FIRST):
            said += f" {FIRST} takes any request in everyday words."
    else:
        said = "\n".join(json.dumps(tool, ensure_ascii=False, separators=(",", ":")) for tool in tools)
    content = [{"type": "text", "text": said}]
    return {"content": content, "structuredContent": {"tools": tools}, "isError": False, "resultType": "complete"}


def _found(exposure: Exposure, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    from kallyai_mcp.catalog import all_commands
    from kallyai_mcp.finder import Finder

    request, limit = arguments.get("request"), arguments.get("limit")
    if not isinstance(request, str) or not request.strip():
        raise _wrong(surface.FIND, "request", "is required: what the user wants, in words.")
    limit = surface.USUALLY_FOUND if limit is None else limit
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 1 <= limit <= surface.MOST_FOUND:
        raise _wrong(surface.FIND, "limit", f"must be a whole number from 1 to {surface.MOST_FOUND}.")
    commands = [command for command in all_commands() if exposure.allows(command.tool)]
    return [_entry(exposure, one.command.tool) for one in Finder(commands).find(request, limit=int(limit))]


def _entry(exposure: Exposure, name: str) -> dict[str, Any]:
    definition = load_tool(exposure, name)
    schema: dict[str, Any] = definition["inputSchema"]
    required: list[str] = schema.get("required", [])
    entry: dict[str, Any] = {"name": name, "description": definition["description"]}
    if required:
        entry["required"] = required
    if others := [one for one in schema["properties"] if one not in required]:
        entry["optional"] = others
    if name in exposure.listed:
        return entry
    reads = surface.READ in exposure.listed and index()[name].reads
    return entry | {"run_with": surface.READ if reads else surface.RUN}


def _described(exposure: Exposure, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    from kallyai_mcp.catalog import find
    from kallyai_mcp.examples import examples_of

    tools: Any = arguments.get("tools")
    if isinstance(tools, str):
        tools = [tools]
    names = cast("list[object]", tools) if isinstance(tools, list) else []
    if not 1 <= len(names) <= surface.MOST_DESCRIBED or not all(isinstance(one, str) for one in names):
        raise _wrong(surface.DESCRIBE, "tools", f"must be 1 to {surface.MOST_DESCRIBED} names of tools.")
    shown: list[dict[str, Any]] = []
    for name in dict.fromkeys(_named(exposure, str(one), surface.DESCRIBE, "tools") for one in names):
        command = find(name)
        example = {
            argument: value
            for argument, value in examples_of(command)[0]["arguments"].items()
            if argument not in command.sensitive_args
        }
        shown.append({**load_tool(exposure, name), "example": example})
    return shown


def _named(exposure: Exposure, name: str, asked: str, argument: str) -> str:
    """Return the tool that is meant; a tool of the surface finds or runs others and is none of them."""
    if (tool := tool_name(name)) in surface.TOOLS and tool in exposure.listed:
        raise _wrong(asked, argument, f"must be another tool: {tool} is listed, and is called directly.")
    return exposure.named(name)


def _read(tool: str, nested: object) -> dict[str, Any]:
    if isinstance(nested, str) and nested.strip():
        try:
            nested = json.loads(nested)
        except (ValueError, RecursionError):
            raise _wrong(tool, "arguments", "must be an object; this text is no JSON.") from None
    if nested is None or nested == "":
        return {}
    if not isinstance(nested, dict):
        raise _wrong(tool, "arguments", "must be an object with the tool's own arguments.")
    return cast("dict[str, Any]", nested)


def _require_known(tool: str, arguments: Mapping[str, Any]) -> None:
    known: dict[str, Any] = surface.TOOLS[tool]["inputSchema"]["properties"]
    for name in arguments:
        if name not in known:
            shown = "".join(letter for letter in name[:64] if letter.isprintable()) or "(unnamed)"
            raise _wrong(tool, shown, f"is not an argument; there are {', '.join(known)}.")


def _wrong(tool: str, argument: str, rule: str) -> InvalidArguments:
    return InvalidArguments(tool, [Problem(argument, rule)])
