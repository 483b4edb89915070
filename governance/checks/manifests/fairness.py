"""Fairness between groups."""

from __future__ import annotations

from governance.checks.contract import FigureSpec, Manifest

_F = FigureSpec

FAIRNESS = Manifest(
    key="fairness.groups", version=1, category="fairness", title="Group fairness", task="binary",
    needs=("data", "label", "predictions", "sensitive"),
    definition=(
        "For every group of every sensitive column against the group with the highest rate (or the given reference): "
        "selection rate ratio (adverse impact ratio; 29 CFR 1607.4(D) calls < 4/5 evidence) with Katz's log interval "
        "(Biometrics 34, 1978), and differences of selection rate, true positive rate (equal opportunity, Hardt et al. "
        "2016), false positive rate and precision (predictive parity, Chouldechova 2017) with Newcombe's interval "
        "(Stat. Med. 17, 1998, method 10). Equalised odds is the larger of the TPR and FPR differences. Base rates "
        "are shown beside, because these figures cannot all be equal unless base rates are."
    ),
    figures=(
        _F("selection_rate_ratio", "Selection rate ratio", "higher", per_group=True),
        _F("selection_rate_difference", "Selection rate difference", "lower", per_group=True),
        _F("equal_opportunity_difference", "Equal opportunity difference", "lower", per_group=True),
        _F("false_positive_rate_difference", "False positive rate difference", "lower", per_group=True),
        _F("equalised_odds_difference", "Equalised odds difference", "lower", per_group=True),
        _F("predictive_parity_difference", "Predictive parity difference", "lower", per_group=True),
    ),
    code="governance.checks.fairness_groups:GroupFairness",
)  # fmt: skip

ALL: tuple[Manifest, ...] = (FAIRNESS,)
