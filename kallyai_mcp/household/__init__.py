"""A server that many people share, put together: each has an account, an engine and a journal of their own."""
