"""A rival: another client that spends the same quota."""
