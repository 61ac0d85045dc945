"""
The tools for writing applications. Import the names from C{wsplug}.
"""
