"""Losses: a handset is lost or stolen, and one case joins what follows from that.

From the moment at which a case is opened its handset may only send what it has and fetch its orders; its passes are
suspended, and its lease is withheld, so that its container closes by itself. Whatever else looks at what a device may
do learns it there: the store of applications will, once there is one. Nothing that destroys happens by itself: after 24
hours the case asks for approvals, once. What its handset sends is kept apart until somebody says that it was found.

A case is a record of its own; what happened in it is the journal of `loss/<id>`. Its device's box names it, and keeps
naming it when it is given up: that hardware is not enrolled again before somebody says that it was found.

| what | where |
|---|---|
| pure decisions: what is recorded, which end may follow which | `rules` |
| a case is loaded, and written with its event | `store` |
| declared: by staff, on another handset | `opening` |
| lost mode, and what is asked for after 24 hours | `ladder` |
| what was ordered in a case | `orders` |
| positions, as long as lost mode lasts, and who looked | `positions` |
| found, given up, seen wiped | `ending` |
| as staff see a case, and as its carrier does | `showing` |
"""
