"""Takes the files of the legacy applications: `inbox/<kind>/<name>` in the bucket, each line once, with a report.

It may not know what a carrier or an announcement is: `kinds.py` names the feature that takes each kind of line.
"""
