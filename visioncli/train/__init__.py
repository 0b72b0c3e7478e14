"""Training: what made `mini`, and later a user's own models."""
