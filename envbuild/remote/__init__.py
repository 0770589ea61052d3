"""The network edge: HTTP, Python indexes, Debian archives and OCI registries.

Addresses, credentials, proxy and CA come from the client's own configuration and nothing else does.
"""
