"""Read models: what the API and the pages show, computed from the store and the folder's books. `Views` fulfils `ports.desk.Reads`
and `ports.desk.Feed`; nothing here changes anything.
"""

from gateway.views.views import Views

__all__ = ["Views"]
