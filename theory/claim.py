"""What a claim is: a statement, a check of it, and a planted false twin that the same check must reject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from theory.provers.step import Step

Subject = TypeVar("Subject")


class Kind(StrEnum):
    """How a claim is established, strongest first."""

    PROVED = "proved"
    CERTIFIED = "certified"
    COMPUTED = "computed"
    SIMULATED = "simulated"
    MEASURED = "measured"


class Verdict(StrEnum):
    """What the account says of a claim once its check has run."""

    HOLDS = "holds"
    CONDITIONAL = "conditional"
    FALSE = "false as stated"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not measured here"


@dataclass(frozen=True)
class Compared:
    """A measured number beside the one that theory has for it.

    Attributes:
        setting: what was run.
        measured: the mean over seeds.
        low: lower end of its interval.
        high: upper end.
        predicted: theory's number.
        relation: "=" exact in the mean, "<=" a bound, "~" an approximation.
    """

    setting: str
    measured: float
    low: float
    high: float
    predicted: float
    relation: str


@dataclass(frozen=True)
class Evidence:
    """What one run of a check found.

    Attributes:
        established: the check accepted its subject.
        measured: the number or normal form that the check arrived at, as text or float.
        expected: what the subject asserts it should be.
        tolerance: the largest deviation that the check accepts; 0 for exact proofs.
        interval: a confidence interval of `measured`, where one exists.
        undecided: not established, but the measurement does not contradict the statement either.
        steps: the derivation or the check's notes, one line each.
        proof: the derivation's steps, each with the prover that closed it; empty for what is not derived.
        compared: of a simulated claim, every setting's number beside theory's.
    """

    established: bool
    measured: str | float = ""
    expected: str | float = ""
    tolerance: float = 0.0
    interval: tuple[float, float] | None = None
    undecided: bool = False
    steps: tuple[str, ...] = ()
    proof: tuple[Step, ...] = ()
    compared: tuple[Compared, ...] = ()


@dataclass(frozen=True)
class Claim(Generic[Subject]):
    """A statement of the account, with the check that decides it and the false statement that tests the check.

    Attributes:
        id: its name in paper_checks.md, such as "T1.rome".
        source: where the statement comes from ("P4", "T1", ...).
        kind: how it is established.
        statement: the sentence that the check decides.
        check: decides a subject; the claim's own and the twin's alike.
        subject: what is asserted, as data that the check can read (a formula, a bound, a prediction).
        twin: a false subject of the same form.
        twin_statement: what the twin asserts, in words.
        verdict: what the account says when the check establishes the subject.
        command: the command line that prints this claim's evidence.

    >>> claim = Claim("X.two", "arithmetic", Kind.PROVED, "1 + 1 = 2", lambda n: Evidence(1 + 1 == n), 2, 3,
    ...               "1 + 1 = 3")
    >>> examine(claim).verdict, examine(claim).twin_rejected
    (<Verdict.HOLDS: 'holds'>, True)
    """

    id: str
    source: str
    kind: Kind
    statement: str
    check: Callable[[Subject], Evidence] = field(repr=False)
    subject: Subject = field(repr=False)
    twin: Subject = field(repr=False)
    twin_statement: str
    verdict: Verdict = Verdict.HOLDS
    command: str = ""


@dataclass(frozen=True)
class Outcome:
    """A claim after its check has run on the subject and on the twin.

    A claim whose check does not establish it is *false as stated*: a row of the account, not a failure of the run.
    It is *undecided* where the measurement leaves it open, and so is a statement whose refutation fails.
    """

    claim: Claim
    evidence: Evidence
    twin_rejected: bool

    @property
    def verdict(self) -> Verdict:
        """The claim's own verdict when established; otherwise "false as stated", or "undecided"."""
        if self.evidence.established:
            return self.claim.verdict
        left_open = self.evidence.undecided or self.claim.verdict is Verdict.FALSE
        return Verdict.UNDECIDED if left_open else Verdict.FALSE


def examine(claim: Claim) -> Outcome:
    """Run a claim's check on what it asserts and on its planted twin."""
    return Outcome(claim, claim.check(claim.subject), not claim.check(claim.twin).established)
