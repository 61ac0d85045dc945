"""
One program for each server that is compared. It echoes, or sends what anyone sends to
everyone, in the fastest way that its library documents; or it is a chat, written as its
users write one.
"""
