"""The alert button (SOS): no alert is lost, nobody is paged twice, and escalation never falls silent.

A raise writes its own rows and nothing else. All that follows (finding the zone, the feed, the steps of the ladder, the
pages) is worked off behind the journal's stream, by timers, and by a sweeper that catches every timer that was lost.
What an alert does next is decided in `ladder`, without I/O. No position is kept without an open alert.
"""
