"""Measures the server beside the least that the same SDK can do, in one run, rounds alternated."""
