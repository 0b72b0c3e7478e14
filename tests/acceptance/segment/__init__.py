"""Issue 13: segmentation."""
