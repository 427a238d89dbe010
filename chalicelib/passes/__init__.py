"""The building pass: what opens the doors of a round, offline, and is worthless to a thief.

A token of one shift, bound to the handset's key and to a perimeter; the set of keys that sign tokens; the list of those
that are suspended or revoked. docs/protocol/pass.md has their formats, `reader/` the verifier. A drill and a plain SOS
may not suspend a pass: a carrier who flees needs the lobby.
"""
