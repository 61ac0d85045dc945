"""
The documentation: each command and each sample in it is run, as it is written.
"""
