"""Who works where: carriers (facteurs), depots, zones, duty rosters, and the clients of the post.

It knows where a carrier belongs and works, so that other features can ask whose affair something is. It may not
decide what anybody may do with an item, a handset or a door: it answers who and where, those features decide.
"""
