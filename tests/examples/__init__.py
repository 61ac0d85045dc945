"""The examples work, and what the documentation says is true."""
