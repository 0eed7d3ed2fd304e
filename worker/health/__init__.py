"""The health of a worker, before it starts and while it runs (``python -m worker.health``)."""
