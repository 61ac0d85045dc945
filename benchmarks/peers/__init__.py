"""One program for each server in the comparison.

It is an echo, or a fan-out of each message to all clients, in the fastest way that its
library documents; or it is a chat, written as its users would write one.
"""
