"""How well scores rank positives above negatives, whatever the threshold. scikit-learn is imported late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RocPoint:
    """What calling positive all that scores ``threshold`` or more would give; at the first point, nothing."""

    threshold: float
    fpr: float
    recall: float


def auprc(positive: Sequence[bool], scores: Sequence[float]) -> float | None:
    """Return the area under the precision-recall curve, as average precision; None without positives.

    Average precision does not interpolate between points, which would be too kind (J. Davis and M. Goadrich,
    ICML 2006). Chance gives the share of positives.

    Raises:
        ValueError: if there is not one finite score for each item.
    """
    _check(positive, scores)
    if not any(positive):
        return None
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(positive, scores))


def auroc(positive: Sequence[bool], scores: Sequence[float]) -> float | None:
    """Return the area under the ROC curve: how often a positive scores above a negative. Chance gives 0.5.

    None unless there are both.

    Raises:
        ValueError: if there is not one finite score for each item.
    """
    _check(positive, scores)
    if len(set(map(bool, positive))) < 2:
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, scores))


def roc_curve(positive: Sequence[bool], scores: Sequence[float]) -> list[RocPoint]:
    """Return the ROC curve from nothing called positive to all, without points on a straight line.

    Raises:
        ValueError: if there is not one finite score for each item, or not both positives and negatives.
    """
    _check(positive, scores)
    if len(set(map(bool, positive))) < 2:
        raise ValueError("a ROC curve needs positives and negatives")
    from sklearn import metrics

    fprs, recalls, thresholds = metrics.roc_curve(positive, scores)
    return [
        RocPoint(float(threshold), float(fpr), float(recall))
        for fpr, recall, threshold in zip(fprs, recalls, thresholds, strict=True)
    ]


def _check(positive: Sequence[bool], scores: Sequence[float]) -> None:
    if len(positive) != len(scores):
        raise ValueError(f"{len(scores)} scores for {len(positive)} items")
    if not all(-float("inf") < score < float("inf") for score in scores):
        raise ValueError("a score must be a finite number")
