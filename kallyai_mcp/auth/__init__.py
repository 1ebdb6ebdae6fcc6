"""Tokens and signing in. Knows nothing of MCP: it takes a clock and a prompter.

Import what is needed from its module; this file imports nothing, since a server that only lists tools needs none of it.
"""
