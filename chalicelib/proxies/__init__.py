"""Proxies (procurations): who may receive a principal's items, from when to when, and which of them.

It answers whether a holder's proxy was valid at a moment, and what a handset knew of it then. It may not decide whether
an item was handed over: that happened in the street, and is judged by signatures.
"""
