"""Sync: what handsets send up, each event once, in any order, however often and however late.

It knows the handset's sequence and clock. What an event means is its feature's business: features offer tables of
the facts that handsets may send, and never hear of HTTP.
"""
