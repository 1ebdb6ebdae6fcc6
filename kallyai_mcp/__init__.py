"""MCP server for KallyAI: every command of the assistant as a tool for an AI agent."""

__version__ = "0.1.0"
