"""The channels that ship with Tongluo, one package each: its Channel, its wire format, its simulator. (Django Channels uses the
same import name; an empty module here keeps both alive.)
"""
