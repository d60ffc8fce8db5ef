"""Sharing power among connectors: fair, and within the limit of every node between them and the grid.

Fair means max-min: nobody gets more while somebody with less wants more. What one does not want, the others get.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


def distribute(
    limits: Sequence[float], demands: Sequence[float], station_limit: float, *, minimum: float = 0.0
) -> list[float]:
    """W to offer on each connector: within its limit and its demand, in sum within ``station_limit``.

    :param limits: W that each may get.
    :param demands: W that each would take; 0 for one that wants nothing.
    :param station_limit: W for all of them.
    :param minimum: W of the least useful offer, such as that of 6 A. Whoever wants anything gets as much, also to draw
        less of it; where the power is not enough for all, the last in order go without so that the others can charge.
    """
    if len(limits) != len(demands):
        raise ValueError(f"{len(limits)} limits and {len(demands)} demands do not belong together")
    wanted = [
        min(limit, max(demand, minimum)) if demand > 0 and limit > 0 and limit >= minimum else 0.0
        for limit, demand in zip(limits, demands, strict=True)
    ]
    shares = _fill(wanted, max(0.0, station_limit))
    while minimum > 0:
        starved = [index for index, share in enumerate(shares) if 0 < share < minimum]
        if not starved:
            break
        wanted[starved[-1]] = 0.0
        shares = _fill(wanted, max(0.0, station_limit))
    return shares


class PowerNode(msgspec.Struct, frozen=True):
    """A node of a power tree: a site, a station, an EVSE or, without ``children``, a connector.

    :param limit: W that may pass through it.
    :param demand: W that a connector would take; of no meaning on a node with children.
    """

    limit: float = math.inf
    demand: float = math.inf
    children: tuple[PowerNode, ...] = ()


def allocate(root: PowerNode, *, minimum: float = 0.0) -> list[float]:
    """W for each connector of a tree, in the order of the tree; at every node the sum is within its limit.

    The power of a node is shared fairly among its children, each counting as one whatever is behind it.
    """
    return _allocate(root, _want(root), minimum)


def _allocate(node: PowerNode, available: float, minimum: float) -> list[float]:
    if not node.children:
        return [available]
    wants = [_want(child) for child in node.children]
    shares = distribute(wants, wants, available, minimum=minimum)
    return [
        watts for child, share in zip(node.children, shares, strict=True) for watts in _allocate(child, share, minimum)
    ]


def _want(node: PowerNode) -> float:
    """W that a node can use, its own limit and those below it considered."""
    demand = sum(map(_want, node.children)) if node.children else node.demand
    return max(0.0, min(node.limit, demand))


def _fill(wanted: Sequence[float], available: float) -> list[float]:
    """Fill all to one level, those that want less only so far (water-filling)."""
    if sum(wanted) <= available:
        return list(wanted)
    shares = [0.0] * len(wanted)
    left = available
    order = sorted((want, index) for index, want in enumerate(wanted) if want > 0)
    for position, (want, index) in enumerate(order):
        shares[index] = min(want, left / (len(order) - position))
        left -= shares[index]
    # Of equal parts of a sum the last bit may be too much.
    excess = sum(shares) - available
    if excess > 0:
        largest = max(range(len(shares)), key=shares.__getitem__)
        shares[largest] = max(0.0, math.nextafter(shares[largest] - excess, 0.0))
    return shares
