"""The words of both dialects: element names in the order of their schema, and CAP's code lists.

The readers check sequence and spelling against these; nothing here decides anything.
"""

# CAP 1.2 §3.2.1 to §3.2.4, in sequence
ALERT = (
    "identifier",
    "sender",
    "sent",
    "status",
    "msgType",
    "source",
    "scope",
    "restriction",
    "addresses",
    "code",
    "note",
    "references",
    "incidents",
    "info",
)
INFO = (
    "language",
    "category",
    "event",
    "responseType",
    "urgency",
    "severity",
    "certainty",
    "audience",
    "eventCode",
    "effective",
    "onset",
    "expires",
    "senderName",
    "headline",
    "description",
    "instruction",
    "web",
    "contact",
    "parameter",
    "resource",
    "area",
)
RESOURCE = ("resourceDesc", "mimeType", "size", "uri", "derefUri", "digest")
AREA = ("areaDesc", "polygon", "circle", "geocode", "altitude", "ceiling")

# CAP 1.2 §3.2.2, values
CATEGORIES = frozenset(
    ("Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other")
)
RESPONSES = frozenset(("Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None"))
URGENCIES = frozenset(("Immediate", "Expected", "Future", "Past", "Unknown"))
CERTAINTIES = frozenset(("Observed", "Likely", "Possible", "Unlikely", "Unknown"))

# The national dialect
NATIONAL_ALERT = (
    "identifier",
    "sender",
    "senderCode",
    "phone",
    "sendTime",
    "status",
    "msgType",
    "scope",
    "code",
    "secClassification",
    "note",
    "references",
    "info",
)
NATIONAL_INFO = (
    "language",
    "eventType",
    "urgency",
    "severity",
    "certainty",
    "effective",
    "onset",
    "expires",
    "senderName",
    "headline",
    "description",
    "instruction",
    "web",
    "resource",
    "area",
)
NATIONAL_CODE = ("method",)
NATIONAL_METHOD = ("methodName", "message", "audienceGrp", "audiencePrt")
NATIONAL_RESOURCE = ("resourceDesc", "size", "digest")
NATIONAL_AREA = ("areaDesc", "polygon", "circle", "geocode")

# Both: what the streaming pass listens to
HEAD = frozenset(("identifier", "sender", "senderCode", "sent", "sendTime", "status", "msgType", "scope", "references"))

# Both: what occurs more than once by right
REPEATED = frozenset(
    (
        "info",
        "category",
        "responseType",
        "eventCode",
        "parameter",
        "resource",
        "area",
        "polygon",
        "circle",
        "geocode",
        "code",
        "method",
    )
)
