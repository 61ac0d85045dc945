"""
What an operator sees and does: the status page, its WebSocket, and where they are.
"""
