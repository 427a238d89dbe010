"""Policy: what staff set for groups of handsets, merged for each of them, and given out in rings.

The keys of approvers are no policy: nobody but two of them changes those (`guards`).

| what | where |
|---|---|
| pure decisions: how documents merge, which ring reaches whom, when a rollout is halted | `rules` |
| the documents of groups, by version | `documents` |
| the newest rollout, as each process holds it | `standing` |
| published, moved on, halted, resumed | `rollouts` |
| given to a handset, and what it says of it | `serving`, `applying` |
"""
