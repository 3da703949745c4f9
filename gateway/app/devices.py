"""Devices that a channel hears, counted by county."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gateway.flow.world import World


def by_county(world: World, channel: str, online: Mapping[str, bool]) -> dict[str, tuple[int, int]]:
    """County code -> (devices online, devices that the directory has there); under "" those that it does not know."""
    if not online:
        return {}
    tree, directory = world.tree, world.directory
    counted: dict[str, tuple[int, int]] = {}
    known = set[str]()
    if channel in directory.channels:
        mine = directory.channel == directory.channels.index(channel)
        for position in np.flatnonzero(mine).tolist():
            county, address = (
                tree.county_of(directory.regions[directory.region[position]]),
                directory.addresses[position],
            )
            if county is not None:
                known.add(address)
                on, all_of = counted.get(county.code, (0, 0))
                counted[county.code] = (on + online.get(address, False), all_of + 1)
    strangers = [up for address, up in online.items() if address not in known]
    return counted | ({"": (sum(strangers), len(strangers))} if strangers else {})
