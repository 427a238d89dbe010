"""The building pass: what opens the doors of a round, offline, and is worthless to a thief.

A token of one shift, bound to the handset's key and to a perimeter; the set of keys that sign tokens; the list of those
that are suspended or revoked. docs/protocol/pass.md has their formats, `reader/` the verifier. A drill and a plain SOS
may not suspend a pass: a carrier who flees needs the lobby.

| what | where |
|---|---|
| over HTTP, and the functions behind queues and clock | `routes`, `entry`, `workers`, `event_types` |
| what a handset holds: its row, and the marks of its passes | `store`, `tables`, `rules`, `schemas` |
| a pass is given: for a round, where it opens doors, or to help | `issuing`, `perimeters`, `helping`, `carried` |
| a pass is worth nothing before its time | `suspending` |
| keys, the list and the time, signed for everybody | `keys`, `listing`, `publishing`, `published_schemas` |
| formats, as pure as rules | `cose`, `tokens`, `key_set`, `status_list` |
| what staff say of passes and are told | `staff_schemas` |
| buildings and their readers: stated, by staff or a file, and read | `buildings`, `registering`, `readers`, `legacy` |
| when the post may enter a building, and by which right | `registry_rules`, `legal_bases`, `registry_schemas` |
| what handsets tell of doors: taken, and its two halves put together | `evidence`, `receipts`, `pairing`, `anomalies` |
| entries: kept, sealed by their day, and read | `diary`, `entries`, `entry_schemas` |

The folder is flat, since all of it stands on the two tables, which a folder of its own could not reach.
"""
