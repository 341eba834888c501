"""Whether a finished run is what it says: its files against each other, then rounds made again.

`verify.verify` checks a run folder or a submission; `conflicts.conflicts` finds runs of one id
whose numbers differ.
"""
