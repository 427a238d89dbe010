"""Items: their identifiers, announcements, scans and tracking.

What an item is follows from its events; the one row kept of it holds what its sender announced. It knows nothing of
rounds, of handsets' sequences or of legacy formats.
"""
