"""Plain HTTP on the WebSocket's port, in memory."""
