"""The back office: `core`, which knows no feature, and one folder for each feature.

Imports point downwards only: routes and workers call services, services call rules and tables, all call core.
Chalice and boto3 stay at the edges (`app.py`, `routes.py`, `workers.py`, `core/`, `tables.py`).
"""

import sys

# Where pyOpenSSL is installed, as `webauthn` needs it, botocore would take it through this module instead of Python's
# own `ssl`: 100 ms more at the cold start of every function.
sys.modules["urllib3.contrib.pyopenssl"] = None  # type: ignore[assignment]
