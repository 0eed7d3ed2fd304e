"""A rival: somebody else who spends of the same quota."""
