"""``limner`` and ``python -m limner``: the command line. It alone of all Limner needs the ``cli`` extra."""
