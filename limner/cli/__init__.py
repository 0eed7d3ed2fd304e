"""``python -m limner``: the command line for jobs. It alone of all Limner needs the ``cli`` extra."""
