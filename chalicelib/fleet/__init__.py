"""Fleet: the devices, from their first key to their retirement, and what is ordered of them.

The row that lets a device in belongs to `core.access`; the fleet changes it only through the functions there. Nothing
here destroys anything that has not passed `guards.choke`.

| what | where |
|---|---|
| over HTTP, and the functions behind the clock | `routes`, `all_routes`, `entry`, `workers`, `sweeping` |
| tickets and enrolment, how well a key is kept | `enrolment`, `attestation`, `google_roots`, `qr`, `rules` |
| devices: read, retired | `service`, `retiring` |
| what other features ask, and follow | `lookup`, `event_types` |
| what a lost handset sends, until it is found | `holding` |
| rows, and records with revisions | `tables`, `records` |
| orders, given out until they are signed for | `commands` |
| two people, buckets and a breaker before anything is destroyed | `guards` |
| a handset that was lost or stolen | `losses` |
| how handsets are, and what keeps their containers readable | `checkins` |
| what handsets keep to, in rings | `policies` |

The folders are parts of this package: they share its tables, since one transaction often writes rows of several.
"""
