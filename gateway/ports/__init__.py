"""The seams between the story (`gateway.flow`) and the outside world, as protocols: `desk` (who asks, and what pages may read),
`store` (what durability promises) and `queue` (how work reaches the channels). `gateway.app` plugs the real things in.
"""

from gateway.ports.desk import (
    Accepted,
    Attachment,
    Callbacks,
    Desk,
    Event,
    Feed,
    Json,
    Keys,
    Principal,
    Reads,
    Role,
)

__all__ = ["Accepted", "Attachment", "Callbacks", "Desk", "Event", "Feed", "Json", "Keys", "Principal", "Reads", "Role"]
