"""The command line: parse, call the pipeline, print.

Does not know how anything is done.
"""
