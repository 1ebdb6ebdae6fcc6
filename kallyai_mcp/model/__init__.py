"""What a declaration is: effect, arguments, route, answer. Pure data and pure functions, no input or output."""

from kallyai_mcp.model.answer import each, group
from kallyai_mcp.model.args import Args, Cli, arg, optional
from kallyai_mcp.model.check import parse
from kallyai_mcp.model.command import Command, Domain, EnvironmentBody
from kallyai_mcp.model.effect import Effect
from kallyai_mcp.model.request import ApiRequest, Defaults, build_request
from kallyai_mcp.model.schema import input_schema, tool_definition

__all__ = [
    "ApiRequest",
    "Args",
    "Cli",
    "Command",
    "Defaults",
    "Domain",
    "Effect",
    "EnvironmentBody",
    "arg",
    "build_request",
    "each",
    "group",
    "input_schema",
    "optional",
    "parse",
    "tool_definition",
]
