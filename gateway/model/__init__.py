"""Floor 0: the things Tongluo speaks of. Plain values without behaviour beyond their own arithmetic; no I/O."""
