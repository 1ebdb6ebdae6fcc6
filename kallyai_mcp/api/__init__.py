"""Send a command's request to the API and read the answer. Knows nothing of MCP, policy, or where tokens are kept."""

from kallyai_mcp.api.answer import Answer
from kallyai_mcp.api.clean import clean, clean_text
from kallyai_mcp.api.client import ApiClient, Tokens, quiet_http_logs
from kallyai_mcp.api.mask import mask
from kallyai_mcp.api.wire import Deadlines

__all__ = ["Answer", "ApiClient", "Deadlines", "Tokens", "clean", "clean_text", "mask", "quiet_http_logs"]
