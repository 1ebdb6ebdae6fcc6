"""The MCP side: tools listed from the shipped schemas, runs handed to the engine, answers in the protocol's terms."""

from kallyai_mcp.server.build import build_server
from kallyai_mcp.server.listing import load_tools
from kallyai_mcp.server.stdio import serve_stdio

__all__ = ["build_server", "load_tools", "serve_stdio"]
