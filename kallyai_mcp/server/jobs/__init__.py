"""Prompts for daily jobs: what a person picks in a host, in the language that they work in."""
