"""Faults: what goes wrong on demand, and how it polls on the wire."""
