"""The chat, in memory."""
