"""The commands of the command line, with one file for each subject."""
