"""What a declaration is: effect, arguments, route, answer. Pure data and pure functions, no input or output."""

from kallyai_mcp.model.acts import Consent, Look, Source, State, Subject, Undo
from kallyai_mcp.model.answer import each, group
from kallyai_mcp.model.args import Args, Cli, arg, arg_of, optional
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
    "Consent",
    "Defaults",
    "Domain",
    "Effect",
    "EnvironmentBody",
    "Look",
    "Source",
    "State",
    "Subject",
    "Undo",
    "arg",
    "arg_of",
    "build_request",
    "each",
    "group",
    "input_schema",
    "optional",
    "parse",
    "tool_definition",
]
