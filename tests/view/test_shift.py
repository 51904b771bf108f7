"""The section on distribution shift says what was measured, what moved, what it cost, and what was not measured."""

import pytest

from headstart.compare.drift import FeatureDrift, MixDrift
from headstart.compare.shift import ShiftFindings, ShiftLimits
from headstart.compare.variants import VariantDifference, VariantFinding, VariantRates
from headstart.config.scenario import Scenario
from headstart.view.blocks import as_markdown
from headstart.view.differs import differences
from headstart.view.kept import word_of
from headstart.view.shift import shift_blocks


def shift_section(found: ShiftFindings | None) -> str:
    return "\n\n".join(map(as_markdown, shift_blocks(found)))


def moved(feature: str, distance: float) -> FeatureDrift:
    return FeatureDrift(feature=feature, distance=distance, q=1e-5, psi=0.4, psi_q=1e-6, unseen=0.02)


FOUND = ShiftFindings(
    candidate="pretrained",
    scratch="scratch",
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
            episodes=256,
            success=VariantRates(
                candidate=0.9,
                scratch=0.8,
                clone=0.85,
                minus_scratch=VariantDifference(n=10, mean=0.1, bound=0.07, bound_fail=0.06),
                minus_clone=VariantDifference(n=2, mean=0.05, bound=None, bound_fail=None),
            ),
            harm=VariantRates(
                candidate=0.173,
                scratch=0.28,
                clone=0.066,
                minus_scratch=VariantDifference(n=10, mean=-0.107, bound=-0.09, bound_fail=-0.08),
                minus_clone=VariantDifference(n=10, mean=0.107, bound=0.121, bound_fail=0.13),
            ),
        ),
    ),
    warnings=("pretrained sees other values than the data in 20 of 20 features, most in f0",),
)


def test_a_variant_is_a_row_for_success_and_one_for_harm_each_with_both_differences_and_their_bounds() -> None:
    text = shift_section(FOUND)

    assert "| held-out variant | what | − its clones | pretrained | clones | scratch | as good |" in text
    assert "| dense | success | **+0.050 (no bound)** | 0.900 | 0.850 | 0.800 | **not shown against its clones** |" in text
    assert "| dense | harm | **+0.107 (≤ +0.121)** | 0.173 | 0.066 | 0.280 | **worse than its clones** |" in text
    assert "| dense | success | +0.100 (≥ +0.070) |" in text and "| dense | harm | -0.107 (≤ -0.090) |" in text
    assert "of the bound alone: success: PASS ≥ -0.05, FAIL < -0.15; harm: PASS ≤ 0.05, FAIL > 0.15; HOLD between." in text
    assert "adjusted for the number of variants (Holm)" in text
    assert "| return |" not in text  # nobody measured it here
    assert "256 worlds a variant and policy" in text


def test_the_section_names_the_arm_with_which_the_variants_were_compared() -> None:
    text = shift_section(FOUND.model_copy(update={"scratch": "matched"}))

    assert "| pretrained | clones | matched | as good |" in text and "| what | − matched |" in text


def test_every_baseline_has_a_column_of_differences() -> None:
    (dense,) = FOUND.variants
    other = VariantDifference(n=10, mean=-0.02, bound=-0.04, bound_fail=-0.04)
    both = {m: of.model_copy(update={"minus_others": {"matched": other}}) for m, of in dense.measures.items()}

    text = shift_section(FOUND.model_copy(update={"variants": (dense.model_copy(update=both),)}))

    assert "| what | − scratch | − matched |" in text
    assert "| dense | success | +0.100 (≥ +0.070) | -0.020 (≥ -0.040) |" in text


@pytest.mark.parametrize(
    ("mean", "bound", "word"),
    [(0.0, 0.05, "yes"), (0.05, 0.06, "may be worse"), (0.0501, 0.06, "worse"), (0.0, None, "not shown"), (0.06, None, "worse")],
)
def test_a_loss_is_worse_beyond_the_margin_and_may_be_where_only_its_bound_is(
    mean: float, bound: float | None, word: str
) -> None:
    (dense,) = FOUND.variants
    for measure, sign in (("success", -1), ("harm", 1)):
        one = VariantDifference(n=10, mean=sign * mean, bound=None if bound is None else sign * bound, bound_fail=None)
        rates = dense.measures[measure].model_copy(update={"minus_clone": one})  # type: ignore[index]

        assert word_of(FOUND, rates, measure, "clone") == word  # type: ignore[arg-type]


def test_a_variant_is_described_by_what_it_overrides() -> None:
    scenario = Scenario.model_construct(
        world="town",
        setup={"agents": 4, "decay": {"hunger": 20}, "layout": "##\n#F\n##\n"},
        variants={
            "crowded": {"agents": 5},
            "restless": {"decay": {"hunger": 30, "hygiene": 30}},
            "moved": {"layout": "##\nF#\n##\n"},
            "wider": {"layout": "###\n"},
            "other": {"layout": "##\n#S\n##\n"},
        },
    )

    assert differences(scenario) == {
        "crowded": "`agents` 5 in place of 4",
        "restless": "`decay.hunger` 30 in place of 20; `decay.hygiene` 30 in place of 15",  # of TownSetup
        "moved": "`layout`: line 2 `F#` in place of `#F`",
        "wider": "another `layout`",
        "other": "`layout`: line 2 `#S` in place of `#F`",
    }
    own = scenario.model_copy(update={"world": "gymnasium", "variants": {"strong": {"gravity": 12.0}}})
    assert differences(own) == {"strong": "`gravity` 12 in place of the default"}


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("#F....\n......\n", "`layout`: `F` moved 3 cells left"),
        ("#.....\n.....F\n", "`layout`: `F` moved 1 cell right and 1 cell down"),
        ("#S....\n......\n", "`layout`: line 1 `#S....` in place of `#...F.`"),  # another object
    ],
)
def test_one_object_that_moved_is_named_with_how_far(new: str, said: str) -> None:
    scenario = Scenario.model_construct(world="nav", setup={"layout": "#...F.\n......\n"}, variants={"moved": {"layout": new}})

    assert differences(scenario) == {"moved": said}


def test_the_features_that_moved_most_are_listed_and_no_more() -> None:
    text = shift_section(FOUND)

    assert "| light | at reset | 0.300 | 1e-05 | 0.400 | 2.0% |" in text
    assert "| speed | at reset" not in text  # not far enough to matter
    assert "| f0 | pretrained | 0.500 |" in text
    assert "| f7 |" in text and "| f8 |" not in text
    assert "At reset 1 of 2 features differ between data and exam." in text


def test_agreement_mix_range_and_warnings_are_said() -> None:
    text = shift_section(FOUND)

    assert "* Decisions that agree with the expert's: the clones 0.950 of held-out ones, the clones 0.930 of their own." in text
    assert "total variation 0.100" in text
    assert "* Outside the scenario's feature_range: f4 in 2.00% of rows, f3 in 0.40% of rows." in text
    assert "* Warning: pretrained sees other values" in text


def test_what_was_not_measured_is_said() -> None:
    missing = ShiftFindings(
        candidate="pretrained", scratch="scratch", limits=ShiftLimits(), missing=("the clones recorded no facts",)
    )

    assert "Not measured." in shift_section(None)
    assert "Not measured: the clones recorded no facts." in shift_section(missing)
