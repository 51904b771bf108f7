"""Where a policy or a dataset has been, in a few numbers a feature: enough to compare two of them without the rows themselves."""

from headstart.records.fields import Count, Share
from headstart.records.model import Record


class FeatureSummary(Record):
    """The distribution of one feature over the rows: F(value[i]) = share[i], exact at these points.

    They are all values that occur or, where there are more than 64, the 64 quantiles from the least to the greatest; less than 1/63 of the
    rows lies strictly between two of them.
    """

    value: tuple[float, ...]  # ascending, to 6 digits
    share: tuple[float, ...]  # of rows ≤ value; the last is 1
    outside: Share  # of rows beyond the scenario's feature_range


class StateSummary(Record):
    """Rows of observations, feature by feature. Rows of one world are not independent of each other; worlds are."""

    rows: Count
    worlds: Count
    effective: float  # independent draws that they are worth at least: Kish's (Σ n)² / Σ n² over the rows n of each world
    features: dict[str, FeatureSummary]
