"""What a comparison of two arms finds, before anybody judges it: records only."""

from headstart.compare.curves import CurveBand
from headstart.compare.ratio import PowerTable, RatioEstimate
from headstart.compare.survival import Reached
from headstart.config.scenario import Target
from headstart.core.arrays import Mode
from headstart.core.record import Record
from headstart.core.statistics import Band, PairedDifference


class ComparisonLimits(Record):
    """The rules of a comparison, fixed before its runs start."""

    ratio_max: float = 0.70  # the upper bound of the ratio must not exceed it
    pairs_min: int = 10  # fewer cannot PASS
    pairs_for_interval: int = 5  # fewer carry no interval
    success_drop_max: float = 0.05  # lower bound of the final success difference ≥ −this
    harm_rise_max: float = 0.02  # upper bound of the final harm difference ≤ this
    both_censored_max: float = 0.20  # share of pairs that say nothing
    power_at_ratio: float = 0.50
    resamples: int = 10_000
    seed: int = 0  # of bootstrap and permutations


class SeedPair(Record):
    """One seed of both arms. `reached`: first env step of the target, None if censored; `steps`: what is
    charged.
    """

    seed: int
    candidate_reached: int | None
    scratch_reached: int | None
    candidate_steps: int
    scratch_steps: int
    candidate_censored: bool
    scratch_censored: bool
    ratio: float | None  # None where the candidate is censored
    ratio_is_bound: bool  # scratch is censored: the true ratio is at most this


class ExamSummary(Record):
    """The last checkpoints of one arm on the exam worlds, pooled over seeds; one-sided 95 % Wilson bounds.

    Pooling takes episodes as independent; whether the arms differ is judged over seeds, by the paired
    differences.
    """

    episodes: int
    success: int
    harm: int
    success_low: float
    success_high: float
    harm_low: float
    harm_high: float
    return_iqm: float  # over seeds


class ArmSummary(Record):
    """One arm by itself."""

    arm: str
    demonstration_steps: int
    exams: dict[Mode, ExamSummary]
    reached: Reached  # of charged steps
    met_before_training: int  # seeds whose policy meets the target in its evaluation at 0 env steps
    success_area: float | None  # mean success rate over the steps for which all runs of both arms were watched
    curves: dict[str, CurveBand]  # success, harm, return


class FinalDifference(Record):
    """Candidate − scratch, paired by seed: exams of the last checkpoints in the target's mode."""

    success: PairedDifference
    harm: PairedDifference
    return_iqm: Band | None  # None: too few pairs for an interval


class Findings(Record):
    """All numbers of a comparison. The baseline compared with itself has no pairs, no ratio and no
    difference.
    """

    scenario: str
    target: Target
    limits: ComparisonLimits
    candidate: ArmSummary
    scratch: ArmSummary
    pairs: tuple[SeedPair, ...]
    online: RatioEstimate | None  # None: no pairs, or a candidate run is censored
    all_in: RatioEstimate | None  # as `online`, demonstration steps charged as well
    ratio_is_bound: bool  # some scratch run is censored: the true ratio is at most the one shown
    power: PowerTable | None  # at the observed spread
    probability_of_improvement: float | None
    logrank_p: float | None
    final: FinalDifference | None
