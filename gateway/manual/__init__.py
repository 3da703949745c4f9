"""The manual, made from what the program itself knows: settings, channel settings, metrics, commands. `make docs` writes
docs/configuration.md, docs/commands.md and the comments of config/tongluo.yaml; a test compares them. Not part of the wheel.
"""
