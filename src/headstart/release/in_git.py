"""What git tracks against HEAD: the history of releases, the catalogue, and the records that nothing computes again."""

from pathlib import Path

from headstart.config.history import HISTORY, line_in, line_sha256, read_history, torn_end
from headstart.core.errors import HeadstartError
from headstart.core.git import accepts, answer, committed, versions
from headstart.dataset.catalogue import MARKS, read_entries, read_marks
from headstart.dataset.catalogue_check import catalogue_problems, places
from headstart.release.faults import GIT, Fault, Findings
from headstart.release.outputs import REPAIR
from headstart.release.standing import fold

POLICIES = Path("policies")
FINAL = (POLICIES.as_posix(), "reports/evidence", "reports/tuning")


def history_findings(root: Path) -> Findings:
    """The hash chain, the order of the lines, and the versions of the history in git."""
    try:
        lines = read_history(root / HISTORY)
        fold(lines)
        checked, problems = len(lines), [*torn_problems(root), *anchor_problems(root)]
    except HeadstartError as error:
        checked, problems = 0, [str(error)]
    return Findings(checked, tuple(_history_fault(root, problem) for problem in problems))


def torn_problems(root: Path) -> list[str]:
    """A line that a killed command left incomplete."""
    data = (root / HISTORY).read_bytes() if (root / HISTORY).exists() else b""
    torn = torn_end(data, str(HISTORY))
    cure = "`headstart release list` sets them aside"
    return [f"{HISTORY}: expected complete lines, found {len(torn)} torn bytes behind them; {cure}"] if torn else []


def anchor_problems(root: Path) -> list[str]:
    """Every version of the history in HEAD and its ancestors must be the beginning of the current one."""
    path = root / HISTORY
    data = path.read_bytes() if path.exists() else b""
    for revision, content in versions(root, HISTORY.as_posix()):
        content = content[: content.rfind(b"\n") + 1]  # a line that a crash tore may have been committed
        if not data.startswith(content):
            same = next((i for i, (a, b) in enumerate(zip(data, content, strict=False)) if a != b), min(len(data), len(content)))
            line = content[:same].count(b"\n") + 1
            return [f"{HISTORY}, line {line}: expected what revision {revision[:12]} holds, found it edited or cut"]
    return []


def _history_fault(root: Path, problem: str) -> Fault:
    """The history may come back from HEAD if no line is lost that is not committed: none that can be read, and that HEAD lacks."""
    path, before = root / HISTORY, (committed(root, HISTORY.as_posix()) or b"").splitlines()
    newer = [line for line in path.read_bytes().splitlines() if line not in before] if path.exists() else []
    if before and not any(_is_line(line) for line in newer):
        return Fault(problem, REPAIR, GIT, HISTORY.as_posix())
    return Fault(problem, f"`git show HEAD:{HISTORY}` has what is committed; lines that are not must be kept by hand")


def _is_line(data: bytes) -> bool:
    """Whether this is a whole line of a history with its own hash."""
    line = line_in(data)
    return line is not None and line_sha256(line) == line.sha256


def catalogue_findings(root: Path) -> Findings:
    """The catalogue against HEAD, dvc.lock and the datasets that are here."""
    entries = read_entries(root)
    gone = sum(not places(root, entry) for entry in entries)
    absent = f"the files of {gone} not here (`headstart catalogue fetch NAME` brings them)" if gone else ""
    return Findings(len(entries), tuple(map(Fault, catalogue_problems(root))), absent)


def mark_findings(root: Path) -> Findings:
    """What people said of datasets: whoever changes it commits it, so that the bytes are those of HEAD or a change that git shows."""
    name = MARKS.as_posix()
    try:
        checked = len(read_marks(root))
    except HeadstartError as error:
        return Findings(0, (Fault(str(error), REPAIR, *((GIT, name) if committed(root, name) else ())),))
    changed = [file for file, blob in blobs(root, name).items() if hashes_now(root, [file]).get(file) != blob]
    return Findings(checked, (), f"{name} is not as HEAD has it (`git diff {name}` shows the change)" if changed else "")


def final_findings(root: Path) -> Findings:
    """The bytes of FINAL against HEAD."""
    recorded = blobs(root, *FINAL)
    found = hashes_now(root, list(recorded))
    faults = [
        Fault(
            f"{name}: expected what HEAD holds, found {'other bytes' if name in found else 'no file'}",
            f"commit it if you changed it, else `git checkout HEAD -- {name}` or `headstart verify --repair` brings it back",
            GIT,
            name,
        )
        for name, blob in recorded.items()
        if found.get(name) != blob
    ]
    return Findings(len(found), tuple(faults))


def blobs(root: Path, *paths: str) -> dict[str, str]:
    """File → its hash in HEAD, of all files below these paths; none before the first commit."""
    tree = answer(root, "ls-tree", "-r", "-z", "HEAD", "--", *paths) if accepts(root, "rev-parse", "HEAD") else b""
    entries = [entry.split("\t", 1) for entry in tree.decode().split("\0") if entry]
    return {name: about.split()[2] for about, name in entries}


def hashes_now(root: Path, names: list[str]) -> dict[str, str]:
    """File → the hash that git would give it, of those that are there. The bytes are read: `git status` believes times and sizes."""
    names = [name for name in names if (root / name).is_file()]
    found = answer(root, "hash-object", "--stdin-paths", given="".join(f"{name}\n" for name in names).encode())
    return dict(zip(names, found.decode().split(), strict=True))
