"""``python -m bench outages``: outages of the provider, what they cost, and how a fleet comes back."""

from bench.outages.command import parser, run

__all__ = ["parser", "run"]
