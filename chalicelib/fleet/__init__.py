"""Fleet: enrolment and the devices, from their first key to their retirement.

The row that lets a device in belongs to `core.access`; the fleet changes it only through the functions there.
"""
