"""
Operators: the status page, its WebSocket, and the endpoints for them.
"""
