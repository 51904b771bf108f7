"""The paths of files and folders in a project."""

from pathlib import Path

DATA, MODELS, REPORTS, WORK_DIR = Path("data"), Path("models"), Path("reports"), Path(".headstart")
LOCKS = WORK_DIR / "locks"  # what only one process may do at a time
TENSORBOARD = WORK_DIR / "tensorboard"  # event files, which tell the time and so differ from run to run
EXPERTS = Path("experts")  # files and modules of the user's own experts: DVC watches the folder
DEMONSTRATIONS = Path("demonstrations")  # users' recordings, which DVC watches too
CATALOGUE = DATA / "catalogue"  # of datasets; git tracks it
FETCHED = Path("datasets")  # versions other than the one that is checked out, as <dataset>@<version>
COMPARISONS = REPORTS / "evaluate"  # of a scenario: a folder with one file a target
