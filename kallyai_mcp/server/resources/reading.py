"""List the resources and read one, as the caller and by the rules that hold for the tool with the same command."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    InputRequiredResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from kallyai_mcp.errors import InvalidArguments, KallyError
from kallyai_mcp.server.resources.kinds import COMMAND, COMMANDS, KINDS, find, tool_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.context import ServerRequestContext
    from mcp_types import ReadResourceRequestParams

    from kallyai_mcp.engine import Result
    from kallyai_mcp.exposure import Exposure
    from kallyai_mcp.server.people import People
    from kallyai_mcp.server.resources.kinds import Address, Kind

logger = logging.getLogger(__name__)

NOT_FOUND = -32002
"""Code for a resource that there is not, up to protocol 2025-11-25; later it is that of invalid parameters."""

STATIC_LIFETIME_MS = 3_600_000
"""How long a host may keep what only a new version of the program changes."""


def is_offered(kind: Kind, is_exposed: Callable[[str], bool]) -> bool:
    """Whether the tool that reads it is one that the caller may run."""
    return kind.command is None or is_exposed(tool_of(kind.command))


def listed(is_exposed: Callable[[str], bool], more: list[Resource]) -> ListResourcesResult:
    """Return the resources that are there for everybody; single calls and goals are found by completion and the lists.

    Args:
        is_exposed: Whether a tool may be run.
        more: Further resources, after these.
    """
    resources = [
        Resource(uri=kind.uri(), name=kind.name, description=kind.description, mime_type=kind.mime_type)
        for kind in KINDS
        if kind.variable is None and is_offered(kind, is_exposed)
    ]
    return ListResourcesResult(resources=[*resources, *more])


def listed_templates(is_exposed: Callable[[str], bool]) -> ListResourceTemplatesResult:
    """Return the templates of what has an identifier or pages."""
    return ListResourceTemplatesResult(
        resource_templates=[
            ResourceTemplate(
                uri_template=kind.template, name=kind.name, description=kind.description, mime_type=kind.mime_type
            )
            for kind in KINDS
            if (kind.variable is not None or kind.pages) and is_offered(kind, is_exposed)
        ]
    )


def unknown(ctx: ServerRequestContext[Any], uri: str) -> MCPError:
    """Return the error for a resource that there is not, in the version of the connection."""
    code = INVALID_PARAMS if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else NOT_FOUND
    return MCPError(code, "Resource not found", {"uri": uri})


async def read(
    ctx: ServerRequestContext[Any],
    params: ReadResourceRequestParams,
    people: People,
    tools: list[dict[str, Any]],
    exposure: Exposure,
) -> ReadResourceResult | InputRequiredResult:
    """Read one resource as the caller, who is asked to sign in where that is missing.

    Raises:
        MCPError: There is no such resource, or it cannot be read now.
    """
    address = find(params.uri)
    if address is None or not is_offered(address.kind, exposure.allows):
        raise unknown(ctx, params.uri)
    if address.kind in {COMMANDS, COMMAND}:
        return _told(address, _of_the_program(ctx, address, tools, exposure.allows), lifetime=STATIC_LIFETIME_MS)
    from kallyai_mcp.catalog import by_words

    command = by_words()[tuple((address.kind.command or "").split())]
    try:
        person = await people.person(ctx)

        async def run() -> Result:
            return await (await person.engine()).run(command, address.arguments, whole=True)

        asked = CallToolRequestParams(
            name=command.tool,
            arguments=address.arguments,
            input_responses=params.input_responses,
            request_state=params.request_state,
        )
        result = await (run() if person.sign_in is None else person.sign_in.run(ctx, asked, run))
    except MCPError:
        raise
    except KallyError as error:
        raise _refused(ctx, params.uri, exposure.told(error)) from None
    except Exception:
        logger.exception("%s could not be read", address.kind.name)
        raise MCPError(
            INTERNAL_ERROR, "The server failed in a way that was not foreseen; its log has the details."
        ) from None
    if isinstance(result, InputRequiredResult):
        return result
    if not address.kind.strangers:
        return _told(address, json.dumps(result.structured, ensure_ascii=False, separators=(",", ":")))
    from kallyai_mcp.server.resources.words import of_strangers

    return _told(address, of_strangers(command, address, result))


def _refused(ctx: ServerRequestContext[Any], uri: str, error: KallyError) -> MCPError:
    if isinstance(error, InvalidArguments) or error.http_status == 404:
        return unknown(ctx, uri)
    return MCPError(INTERNAL_ERROR, f"{error.message} {error.next_step}", {"uri": uri, **error.as_dict()})


def _of_the_program(
    ctx: ServerRequestContext[Any],
    address: Address,
    tools: list[dict[str, Any]],
    is_exposed: Callable[[str], bool],
) -> str:
    exposed = [tool for tool in tools if is_exposed(tool["name"])]
    if address.kind is COMMANDS:
        from kallyai_mcp.catalog import DOMAINS
        from kallyai_mcp.server.resources.words import of_tools

        domains = [(one.name, one.summary, [command.tool for command in one.commands]) for one in DOMAINS]
        return of_tools(exposed, domains)
    found = next((tool for tool in exposed if tool["name"] == address.identifier), None)
    if found is None:
        raise unknown(ctx, address.uri)
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _told(address: Address, text: str, *, lifetime: int | None = None) -> ReadResourceResult:
    content = TextResourceContents(uri=address.uri, mime_type=address.kind.mime_type, text=text)
    if lifetime is None:
        return ReadResourceResult(contents=[content], ttl_ms=0, cache_scope="private")
    return ReadResourceResult(contents=[content], ttl_ms=lifetime, cache_scope="public")
