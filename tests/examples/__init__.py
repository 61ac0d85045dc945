"""
The examples and the documentation do what they say.
"""
