"""The section on distribution shift says what was measured, what moved, what it cost, and what was not measured."""

from headstart.compare.drift import FeatureDrift, MixDrift, VariantDifference
from headstart.compare.shift import ShiftFindings, ShiftLimits, VariantFinding
from headstart.view.comparison import shift_section


def moved(feature: str, distance: float) -> FeatureDrift:
    return FeatureDrift(feature=feature, distance=distance, q=1e-5, psi=0.4, psi_q=1e-6, unseen=0.02)


FOUND = ShiftFindings(
    candidate="pretrained",
    limits=ShiftLimits(),
    missing=(),
    starts=(moved("light", 0.3), moved("speed", 0.05)),
    visited=tuple(moved(f"f{k}", 0.5 - k / 100) for k in range(20)),
    outside={"f3": 0.004, "f4": 0.02},
    mix=MixDrift(data={"0": 0.5, "1": 0.5}, exam={"0": 0.6, "1": 0.4}, distance=0.1, p=0.2),
    heldout_accuracy=0.95,
    clone_agreement=0.93,
    candidate_agreement=None,
    variants=(
        VariantFinding(
            variant="dense",
            success={"candidate": 0.9, "scratch": 0.8, "clone": 0.85},
            harm={"candidate": 0.01, "scratch": 0.02, "clone": 0.03},
            episodes=256,
            minus_scratch=VariantDifference(n=10, mean=0.1, low=0.07, low_fail=0.07),
            minus_clone=VariantDifference(n=2, mean=0.05, low=None, low_fail=None),
        ),
    ),
    warnings=("pretrained sees other values than the data in 20 of 20 features, most in f0",),
)


def test_a_variant_is_a_row_with_all_policies_and_both_differences() -> None:
    text = shift_section(FOUND)

    assert "| held-out variant | scratch | clone | pretrained | − scratch | − clone |" in text
    row = "| dense | 0.800 (harm 0.020) | 0.850 (harm 0.030) | 0.900 (harm 0.010) | +0.100 (≥ +0.070) | +0.050 (no bound) |"
    assert row in text
    assert "256 episodes a variant and seed" in text


def test_the_features_that_moved_most_are_listed_and_no_more() -> None:
    text = shift_section(FOUND)

    assert "| light | at reset | 0.300 | 1e-05 | 0.400 | 2.0% |" in text
    assert "| speed | at reset" not in text  # not far enough to matter
    assert "| f0 | pretrained | 0.500 |" in text
    assert "| f7 |" in text and "| f8 |" not in text
    assert "At reset 1 of 2 features differ between data and exam." in text


def test_agreement_mix_range_and_warnings_are_said() -> None:
    text = shift_section(FOUND)

    assert "* Decisions that agree with the expert's: the clone 0.950 of held-out ones, the clone 0.930 of its own." in text
    assert "total variation 0.100" in text
    assert "* Outside the scenario's feature_range: f4 in 2.00% of rows, f3 in 0.40% of rows." in text
    assert "* Warning: pretrained sees other values" in text


def test_what_was_not_measured_is_said() -> None:
    missing = ShiftFindings(candidate="pretrained", limits=ShiftLimits(), missing=("the clone recorded no facts",))

    assert "Not measured." in shift_section(None)
    assert "Not measured: the clone recorded no facts." in shift_section(missing)
