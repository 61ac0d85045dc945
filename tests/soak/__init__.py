"""
A soak: one server with all that it has, thousands of clients of all kinds for minutes,
and every answer checked. C{python tests/soak/run.py} runs it.
"""
