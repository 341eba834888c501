"""The commands of the program, as functions; `fednlp.cli` gives them their names."""
