"""Whose request it is, where many people share one server: access tokens of the organisation's identity provider.

The server is an OAuth 2.1 resource server (MCP, Authorization): it checks tokens, and issues none. Import what is
needed from its module; this file imports nothing.
"""
