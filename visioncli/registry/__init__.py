"""What models there are, where their weights come from, and how to load them safely."""
