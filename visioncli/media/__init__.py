"""Media in and out: sources, pictures, video in, video out."""

from __future__ import annotations
