"""The one path that runs a command, whoever asks for it: parse, sign, send, shape."""

from kallyai_mcp.engine.result import Result
from kallyai_mcp.engine.run import Engine, LocalCommand, Progress

__all__ = ["Engine", "LocalCommand", "Progress", "Result"]
