"""The programs that start this server: where each keeps its configuration, what it takes, how an entry is changed."""

from kallyai_mcp.hosts.change import Change, plan_install, plan_uninstall
from kallyai_mcp.hosts.command import Command, find_command
from kallyai_mcp.hosts.entry import entry_of, variables_for
from kallyai_mcp.hosts.host import Format, Host, System, place_of
from kallyai_mcp.hosts.known import HOSTS, find_host

__all__ = [
    "HOSTS",
    "Change",
    "Command",
    "Format",
    "Host",
    "System",
    "entry_of",
    "find_command",
    "find_host",
    "place_of",
    "plan_install",
    "plan_uninstall",
    "variables_for",
]
