"""A KallyAI on this machine: the whole API, with its state, its clock and its sign-in, on loopback."""

from kallyai_mcp.sandbox.serve import SandboxOptions, Served, run, serving

__all__ = ["SandboxOptions", "Served", "run", "serving"]
