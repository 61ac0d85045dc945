"""
Plain HTTP on the port of the WebSockets: requests, their bodies, and what answers them.
"""
