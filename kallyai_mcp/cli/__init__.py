"""The terminal: every command of the catalog, signing in, and serving, as subcommands of `kallyai-mcp`."""

from kallyai_mcp.cli.main import run
from kallyai_mcp.cli.program import Program

__all__ = ["Program", "run"]
