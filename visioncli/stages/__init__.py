"""What `visioncli.pipeline` is made of: its three stages, a file each, and what passes between them."""
