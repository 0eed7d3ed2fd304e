"""Code of a user, checked by type checkers against the installed wheel."""
