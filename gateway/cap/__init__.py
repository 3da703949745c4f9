"""Reading and writing alerts: CAP 1.2 and 1.1 (OASIS), the national 12379 dialect and GB/T 35965. Pure, no I/O.

Intake, the inbox and `tongluo validate` call `parse`; the public feed and the API call `as_cap` and `as_json`.
"""

from gateway.cap.codes import CODES, http_status
from gateway.cap.content import first_difference
from gateway.cap.express import as_cap, as_json
from gateway.cap.options import Limits, Options
from gateway.cap.parse import parse
from gateway.cap.verdict import finding_as_json, verdict

__all__ = [
    "CODES",
    "Limits",
    "Options",
    "as_cap",
    "as_json",
    "finding_as_json",
    "first_difference",
    "http_status",
    "parse",
    "verdict",
]
