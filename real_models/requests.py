"""An edit request and its probes, whatever data set it came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Probe:
    """A prompt with the answer that the unedited world gives.

    Attributes:
        prompt: text whose next words are the answer.
        answer: the true answer, without leading space.
    """

    prompt: str
    answer: str


@dataclass(frozen=True)
class Request:
    """One fact to rewrite.

    Attributes:
        case_id: unique in its data set.
        template: the prompt with `{}` where the subject stands.
        subject: the subject's name.
        target_new: the answer to write, without leading space.
        target_true: the answer before the edit; None where the data set does not say.
        paraphrases: other prompts for the same fact (generalisation).
        neighborhood: prompts of other subjects that must keep their answers (specificity).
        hops: questions whose answer follows from the edit and from what the model knows (portability).
        openings: texts about the subject that the model is to write on (fluency).
    """

    case_id: int
    template: str
    subject: str
    target_new: str
    target_true: str | None
    paraphrases: tuple[str, ...] = ()
    neighborhood: tuple[Probe, ...] = ()
    hops: tuple[Probe, ...] = ()
    openings: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        """The prompt with the subject in place."""
        return self.template.replace("{}", self.subject, 1)
