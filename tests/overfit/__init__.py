"""Networks trained until they know four pictures by heart: `python -m tests.overfit` (see `__main__`)."""
