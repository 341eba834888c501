"""The runs of a suite as jobs: planned, put in order, run side by side, and shown meanwhile."""
