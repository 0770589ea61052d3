"""Fit a line through noise, and say which Python and numpy did it."""

import platform
import sys

import numpy as np
from tqdm import tqdm

generator = np.random.default_rng(42)
x = np.linspace(0, 1, 1000)
slopes = [
    np.polyfit(x, 3 * x + generator.normal(scale=0.1, size=x.size), 1)[0]
    for _ in tqdm(range(20), disable=True)
]
print(
    f"slope {np.mean(slopes):.3f} (Python {platform.python_version()} in {sys.prefix}, "
    f"numpy {np.__version__})"
)
