"""Processes that end with their parent, and signals that end a program."""
