"""`kallyai-mcp demo`: an agent's session with the real server and a sandbox, shown and checked step by step.

    play ──► host     starts the server over stdio and runs its tools, as an MCP host does
         ──► person   opens the page that the first run asks for, and approves the sign-in, as a person does
         ──► story    what happens, and what must come of it
         ──► screen   shows it

Nothing leaves the machine, and nothing stays on it.
"""

from kallyai_mcp.cli.demo.play import play

__all__ = ["play"]
