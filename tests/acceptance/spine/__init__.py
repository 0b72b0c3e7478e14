"""Issue 11, the spine: `vision classify` and `vision detect`, end to end."""
