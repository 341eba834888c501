"""Run folders as DataFrames. Rows are read and joined by Arrow; Python sees a run, never a row."""
