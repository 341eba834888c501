"""Finished runs as one file to give away, which `pack` writes and `read.open_submission` reads."""
