"""The server over HTTP: Streamable HTTP and SSE on one port, for hosts on this machine or for an organisation."""

from kallyai_mcp.server.http.access import Access, Bound
from kallyai_mcp.server.http.serve import serve_http

__all__ = ["Access", "Bound", "serve_http"]
