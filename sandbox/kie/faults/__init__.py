"""Faults: what goes wrong on demand, and how it looks on the wire."""
