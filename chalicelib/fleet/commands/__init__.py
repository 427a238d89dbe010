"""Commands: what is ordered of a handset, given out until it is signed for, and done at most once in an enrolment.

A command is addressed to a device and a generation. While it is open it stands in the device's box, one row, so that
whoever enrols, quarantines or commands a device changes all of them at once; once it is over it is filed by itself, and
nothing changes it any more but what is learned later of a wipe. Nothing here decides that something may be destroyed:
that is `guards`, at its one choke point.

| what | where |
|---|---|
| the kinds and the life of a command, as tables | `kinds`, `states` |
| pure decisions: what applies, what is due, what is said of it | `rules` |
| a device's box | `boxes` |
| made, called off | `requesting` |
| given out, reported, and what time does to it | `polling`, `reporting`, `settling` |
"""
