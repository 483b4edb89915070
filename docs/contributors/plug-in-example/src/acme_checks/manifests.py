"""What the checks say about themselves. Every process imports this, so it imports no numerical library."""

from governance.checks.contract import FigureSpec, Manifest

DECISION_COST = Manifest(
    key="acme.decision_cost",
    version=1,
    category="performance",
    title="Cost of wrong decisions",
    task="binary",
    needs=("data", "label", "predictions"),
    definition=(
        "Mean cost per row, (a·FP + b·FN) / n, with a the cost of a false alarm and b that of a miss, at the threshold. "
        "Interval: mean ± 1.96 s/√n with s the standard deviation of the cost per row."
    ),
    figures=(
        FigureSpec("mean_cost", "Mean cost per row", "lower"),
        FigureSpec("false_alarms", "False alarms", "lower"),
        FigureSpec("misses", "Misses", "lower"),
    ),
    code="acme_checks.decision_cost:DecisionCost",
)

ALL = [DECISION_COST]
