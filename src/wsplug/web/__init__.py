"""
What plain HTTP requests get: C{twisted.web} resources.
"""
