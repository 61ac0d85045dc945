"""
Access control before a connection is served: origins, hosts, proxies, bans, and limits
per client.
"""
