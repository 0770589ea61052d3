"""Train a small classifier and print its score: the same number wherever the lock is the same."""

import platform

import numpy as np
import pandas as pd
import sklearn
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

digits = load_digits()
frame = pd.DataFrame(digits.data)
train_x, test_x, train_y, test_y = train_test_split(frame, digits.target, random_state=42)
model = RandomForestClassifier(n_estimators=100, random_state=42, n_jobs=2).fit(train_x, train_y)
versions = f"Python {platform.python_version()}, numpy {np.__version__}, scikit-learn {sklearn.__version__}"
print(f"score {model.score(test_x, test_y):.4f} ({versions})")
