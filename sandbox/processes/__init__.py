"""Processes that end with whoever started them, and signals that end a program."""
