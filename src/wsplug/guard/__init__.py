"""
Who may come in, and how much of it: what the server asks before it serves anybody.
"""
