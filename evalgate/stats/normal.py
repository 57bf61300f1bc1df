"""The normal and Student's distributions, right far out in the tail, without scipy."""

from __future__ import annotations

import math
from functools import lru_cache

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_FAR = 35.0
"""Beyond this z `erfc` comes near the smallest float; there the asymptotic series is right to 1e-12 of the tail."""


def log_sf(z: float) -> float:
    """Natural logarithm of P(Z >= z) for a standard normal Z; finite for every finite z.

    Source: erfc for z <= 35; beyond, the asymptotic series of Mills' ratio (Abramowitz and Stegun 26.2.12).
    """
    if z <= _FAR:
        return math.log(0.5 * math.erfc(z / math.sqrt(2)))
    inverse = 1 / (z * z)
    series = 1 - inverse * (1 - 3 * inverse * (1 - 5 * inverse * (1 - 7 * inverse)))
    return -0.5 * z * z - math.log(z) - _LOG_SQRT_2PI + math.log(series)


def sf(z: float) -> float:
    """P(Z >= z) for a standard normal Z; 0.0 only where no float is that small (z above 38)."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def z_of_log_tail(log_p: float) -> float:
    """The z whose upper tail has probability exp(log_p): the inverse of `log_sf`, by Newton's method.

    log_p: at most 0; -inf gives inf, 0 gives -inf.
    """
    if log_p >= 0:
        return -math.inf
    if log_p == -math.inf:
        return math.inf
    if log_p > math.log(0.5):
        # The lower tail is the small one: there the upper tail's logarithm is flat.
        return -z_of_log_tail(math.log(-math.expm1(log_p)))
    z = math.sqrt(-2 * log_p) if log_p < -2 else 0.5
    for _ in range(60):
        tail = log_sf(z)
        # d/dz log_sf = -density / tail
        slope = -math.exp(-0.5 * z * z - _LOG_SQRT_2PI - tail)
        step = (tail - log_p) / slope
        z -= step
        if abs(step) < 1e-13 * max(1.0, abs(z)):
            break
    return z


@lru_cache(maxsize=1024)
def student_quantile(level: float, freedom: int) -> float:
    """The t with P(T <= t) = level for Student's T; level in (0.5, 1), freedom from 1.

    Source: P(|T| > t) is the regularised incomplete beta function I_x(freedom/2, 1/2) at x = freedom/(freedom + t^2),
    inverted by Newton's method from Cornish and Fisher's first term.
    """
    if freedom == 1:
        return math.tan(math.pi * (level - 0.5))
    if freedom == 2:
        return (2 * level - 1) * math.sqrt(2 / (4 * level * (1 - level)))
    z = z_of_log_tail(math.log1p(-level))
    t = z + z * (z * z + 1) / (4 * freedom)
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    for _ in range(50):
        density = math.exp(log_scale - (freedom + 1) / 2 * math.log1p(t * t / freedom))
        step = (_two_sided_tail(t, freedom) / 2 - (1 - level)) / density
        t += step
        if abs(step) < 1e-12 * t:
            break
    return t


def _two_sided_tail(t: float, freedom: int) -> float:
    return _incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised I_x(a, b) by its continued fraction. Source: Numerical Recipes, 6.4 (Lentz's method)."""
    if x <= 0 or x >= 1:
        return max(0.0, min(1.0, x))
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x > (a + 1) / (a + b + 2):
        return 1 - front * _beta_fraction(1 - x, b, a) / b
    return front * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1), tiny)
    result = d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away_from_zero(1 + even * d, tiny)
        c = _away_from_zero(1 + even / c, tiny)
        result *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _away_from_zero(1 + odd * d, tiny)
        c = _away_from_zero(1 + odd / c, tiny)
        result *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return result


def _away_from_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
