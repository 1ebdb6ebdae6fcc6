"""A server that many people share: who may use its endpoints, and the pages on which they link accounts and approve."""
