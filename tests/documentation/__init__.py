"""The documentation: every command and every sample in it is run as written."""
