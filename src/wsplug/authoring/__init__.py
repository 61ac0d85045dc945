"""
What you write applications with. Import the names from C{wsplug}.
"""
