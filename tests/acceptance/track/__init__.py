"""Issue 14: tracks."""
