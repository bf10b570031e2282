"""The rules for numbers that a user may change, and what is said where one is broken."""

import math

from models import configs as networks


def require(valid: bool, field: str, rule: str, received: object) -> None:
    """Raises a ValueError that tells the rule which `field` breaks, unless it is `valid`."""
    if not valid:
        raise ValueError(f"`{field}` must be {rule}. Received: {received!r}")


def require_numbers(section: str, fields: dict[str, object]) -> None:
    """Numbers that JSON and protobuf carry: nan passes most comparisons, and inf half of them."""
    for name, value in fields.items():
        if isinstance(value, int | float):
            fits = math.isfinite(value) and abs(value) < 2**63
            require(fits, f"{section}.{name}", "a finite number between -2^63 and 2^63", value)


def require_network(field: str, name: str) -> None:
    """Refuses networks that the table has not."""
    require(name in networks.CONFIGS, field, f"one of {', '.join(networks.CONFIGS)}", name)


def require_width(field: str, width: float, network: str) -> None:
    """Refuses factors by which some of the network's channels would not be whole numbers."""
    step = networks.width_step(network)
    fits = width > 0 and (width / step).is_integer()
    require(fits, field, f"a positive multiple of {step:g}, with {network}", width)
