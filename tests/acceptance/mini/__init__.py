"""Issue 12: `mini`, the model that comes in the box."""
