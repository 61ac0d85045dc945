"""
One program for each server that is compared: it echoes, or with C{--fanout} sends what
anyone sends to everyone, in the fastest way that its library documents.
"""
