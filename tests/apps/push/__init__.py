"""
C{--app push}.
"""
