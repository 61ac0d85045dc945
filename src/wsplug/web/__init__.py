"""
The web pages of the server: its site and its built-in resources.
"""
