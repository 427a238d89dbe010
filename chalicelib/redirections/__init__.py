"""Redirections (réexpéditions) and mail kept at the office (garde): where an addressee's items go instead.

It holds the contracts and answers what they say of an item at a moment, with a rule and a sentence for the carrier. It
may not move an item: what the carrier did with it is an event of the item.
"""
