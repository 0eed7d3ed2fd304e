"""Faults: the errors on demand, and their form on the wire."""
