"""The models of the demonstration, trained on the diabetes study that scikit-learn bundles.

Data: Efron, Hastie, Johnstone, Tibshirani (2004), "Least Angle Regression", Annals of Statistics 32(2): 442 patients
with age, sex, body mass index, blood pressure and six blood serum measurements, and a measure of disease progression
one year later. Here unscaled, so that ``age`` is in years and ``sex`` is 1 or 2 as the study has it.

The task: who gets a place in a follow-up programme? ``high_progression`` is 1 where progression exceeds 140, about the
median. Half of the patients, drawn with a fixed seed within each sex and outcome, are held out and never trained on.

- ``sound``: logistic regression on all ten inputs. ``live`` is the same with five, as an older version would be.
- ``unfair``: the same method, but half of the patients coded sex 2 (the study does not say which sex that is) with
  high progression are marked 0 in the *training* labels, as if they had been referred less often in the past. The
  model learns it. Nothing else differs; on the whole hold-out it still ranks well, and that is the point.

The seed is one split of many: over seeds 0 to 29 the sound model's selection rate ratio by sex averages 0.83 and lies
below 0.80 in 13 of them, because a hold-out of 221 rows is small. The figures shown are of this split.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

LABEL: Final = "high_progression"
INPUTS: Final = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]
LIVE_INPUTS: Final = ["age", "sex", "bmi", "bp", "s5"]
SENSITIVE: Final = ["sex", "age_band"]
SPLIT_SEED: Final = 0
RELABEL_SEED: Final = 3
RELABELLED_SHARE: Final = 0.5
REGULARISATION: Final = 0.1
PROGRESSION_THRESHOLD: Final = 140


@dataclass(frozen=True, slots=True)
class Split:
    """Training and held-out rows, with the label, the inputs and the sensitive columns of both."""

    train: pd.DataFrame
    holdout: pd.DataFrame


def load_split() -> Split:
    """The study, labelled, with age bands, split in two halves within sex and outcome."""
    study = load_diabetes(as_frame=True, scaled=False)
    frame: pd.DataFrame = study.data.astype("float64").copy()
    frame["age_band"] = np.where(frame["age"] < 50, "under 50", "50 and over")
    frame[LABEL] = (study.target > PROGRESSION_THRESHOLD).astype("int64")
    strata = frame[LABEL] * 2 + (frame["sex"] == 2)
    train, holdout = train_test_split(frame, test_size=0.5, random_state=SPLIT_SEED, stratify=strata)
    return Split(train=train.reset_index(drop=True), holdout=holdout.reset_index(drop=True))


def under_referred(train: pd.DataFrame) -> pd.DataFrame:
    """The training rows with half of the high-progression patients of sex 2 marked 0: a made history of unequal referral."""
    changed = train.copy()
    group = changed.index[(changed["sex"] == 2) & (changed[LABEL] == 1)].to_numpy()
    chosen = np.random.default_rng(RELABEL_SEED).choice(group, int(len(group) * RELABELLED_SHARE), replace=False)
    changed.loc[chosen, LABEL] = 0
    return changed


def fit(train: pd.DataFrame, inputs: list[str]) -> Pipeline:
    """Standardised logistic regression with L2 penalty."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION))
    model.fit(train[inputs], train[LABEL])
    return model
