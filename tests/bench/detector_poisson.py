"""How sure a count of false alarms is: the exact interval of a Poisson mean.

Rule 1: pure arithmetic of the standard library; what is returned has its formula's source.

Garwood (1936), "Fiducial limits for the Poisson distribution", Biometrika 28:437: of n counted, the lower limit is
the mean at which n or more have a chance of 2.5 %, the upper the mean at which n or fewer have one. (As quantiles of
chi-square: half of the 2.5 % one with 2 n degrees of freedom, and half of the 97.5 % one with 2 n + 2.)
It takes the alarms to be independent. A gust that makes three alarms is counted as three, so the truth can lie
outside more often than in one case of twenty.
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95
HALVINGS = 100  # far below the spacing of floats between 0 and any mean asked for here


def chance_of_at_most(count: int, mean: float) -> float:
    """Return the chance of `count` or fewer where `mean` are expected."""
    if mean == 0:
        return 1.0
    logs = [number * math.log(mean) - mean - math.lgamma(number + 1) for number in range(count + 1)]
    return min(1.0, math.fsum(math.exp(log) for log in logs))


def limits(count: int) -> tuple[float, float]:
    """Return the lowest and the highest mean that agree with having counted `count`. ValueError below 0."""
    if not count >= 0:
        raise ValueError(f"count is {count}: must be 0 or more")
    tail = (1 - CONFIDENCE) / 2
    lower = _mean(count - 1, 1 - tail) if count else 0.0
    return lower, _mean(count, tail)


def _mean(count: int, chance: float) -> float:
    """Return the mean at which `count` or fewer have that chance, which falls as the mean grows."""
    low, high = 0.0, 10.0 + 3.0 * (count + 1)  # there the chance is below 0.5 % for every count
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if chance_of_at_most(count, middle) > chance:
            low = middle
        else:
            high = middle
    return (low + high) / 2
