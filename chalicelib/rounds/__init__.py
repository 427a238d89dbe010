"""Rounds (tournées): the sorting plan, where each item lies on it, and the bundle a carrier takes along.

An item's place follows from its events and the plan, and is worked out again after each event. Other features put
their part into the bundle through `parts.BundlePart`; rounds never reads their tables.
"""
