"""
C{python -m wsplug}: the command C{wsplug}.
"""

from wsplug.command import main

if __name__ == "__main__":
    main()
