"""Partitions between a configuration, a run, a folder to share, and other formats."""
