"""What every feature stands on: endpoints, consumers, the journal, transactions, keys, access.

It knows no feature and imports none.
"""
