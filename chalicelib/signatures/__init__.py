"""Proof of delivery: who received an item against signature, what the law wants to be said of it, and how it is shown.

A handset signs each act of handing over with its own key; the journal keeps it sealed under a key of each proof, for a
year from the delivery. Whether a proof is complete is judged from the journal after the fact: what happened at a door
is never refused for what is missing. It may not compare signatures of people with each other: strokes are evidence,
not a way to know somebody.
"""
