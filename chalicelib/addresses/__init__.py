"""Postal addresses and the names on them: how they are written (NF Z10-011), compared, and matched.

It is pure, for whoever must tell whether two addresses or two names are the same. It keeps nothing and decides
nothing about an item: what follows from a match is the business of redirections, proxies and signatures.
"""
