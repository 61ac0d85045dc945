"""A soak test: one fully featured server, thousands of clients of all kinds for
minutes, and every answer checked. C{python tests/soak/run.py} runs it.
"""
