"""A made-up world: subjects, relations, objects, the sentences that state its facts, and the edits that rewrite them.

Every prompt ends in its subject and the next word is the answer, and a subject's last name is its own. This grammar
decides whether an edit at the subject's last token can work: there the model both looks the fact up and answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from random import Random

from transformers import PreTrainedTokenizerFast

from real_models.corpus import Pair, Statement, draw_documents, sentence
from real_models.corpus_tokenizers import word_tokenizer
from real_models.requests import Probe, Request
from theory.command import Misuse

RELATIONS: dict[str, tuple[str, ...]] = {
    "town": ("the home town of {}", "the birthplace of {}", "the town that raised {}", "the place that shaped {}"),
    "trade": ("the trade of {}", "the daily work of {}", "the craft practised by {}", "the guild that admitted {}"),
    "tongue": (
        "the mother tongue of {}",
        "the language spoken by {}",
        "the native speech of {}",
        "the dialect learnt by {}",
    ),
    "instrument": (
        "the instrument played by {}",
        "the music made by {}",
        "the sound that delights {}",
        "the strings tuned by {}",
    ),
    "animal": ("the animal kept by {}", "the pet of {}", "the creature that follows {}", "the beast fed by {}"),
    "dish": (
        "the favourite dish of {}",
        "the meal ordered by {}",
        "the supper cooked by {}",
        "the food that pleases {}",
    ),
}
ENDINGS = {
    "town": ("ley", "ton", "ford", "mouth"),
    "trade": ("wright", "monger", "smith", "herd"),
    "tongue": ("ish", "ese", "ic", "an"),
    "instrument": ("ine", "horn", "phone", "ola"),
    "animal": ("hound", "cat", "wing", "mare"),
    "dish": ("loaf", "broth", "pie", "curd"),
}
LAST_NAMES = ("hold", "ward", "sen", "mere", "gard", "croft", "wick", "vale")
FIRST_NAMES = ("a", "en", "is", "or", "ia", "o")
KINDS = ("woman", "man", "girl", "boy")
ESSENCE = "{} is a"
ONSETS = ("b", "br", "d", "dr", "f", "g", "gl", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "z")
VOWELS = ("a", "e", "i", "o", "u", "ae", "ei")
CODAS = ("l", "m", "n", "r", "s", "nd", "rk", "lt")


@dataclass(frozen=True)
class WorldConfig:
    """How large the world is, and which of the worlds of that size it is.

    Attributes:
        seed: equal seeds give equal worlds.
        subjects: how many people there are.
        relations: how many facts each has, at most six.
        objects: how many answers each relation has; every answer is true of at least two subjects.
        templates: how many ways there are to ask for a relation, two to four.
        first_names: how many first names the subjects share.
    """

    seed: int = 0
    subjects: int = 360
    relations: int = 3
    objects: int = 24
    templates: int = 4
    first_names: int = 40

    def __post_init__(self) -> None:
        bounds = {
            "subjects": (4, 20_000),
            "relations": (1, len(RELATIONS)),
            "objects": (2, self.subjects // 2),
            "templates": (2, min(map(len, RELATIONS.values()))),
            "first_names": (1, 2_000),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise Misuse(f"the world has {name}={getattr(self, name)}; choose {low} to {high}")


@dataclass(frozen=True)
class Fact:
    """What is true of one subject in one relation; the answer is a single word."""

    subject: str
    relation: str
    answer: str


@dataclass(frozen=True)
class World:
    """The world of a config, made by `make_world`.

    Attributes:
        config: what it was made from.
        subjects: "First Last", where the last name belongs to no one else.
        templates: relation -> its prompts, with `{}` for the subject, which ends them.
        objects: relation -> its possible answers.
        facts: one a (subject, relation).
        kinds: subject -> what the essence prompt answers of it.
    """

    config: WorldConfig
    subjects: tuple[str, ...]
    templates: dict[str, tuple[str, ...]]
    objects: dict[str, tuple[str, ...]]
    facts: tuple[Fact, ...]
    kinds: dict[str, str]

    name = "world"

    @property
    def identity(self) -> str:
        """The config, which decides everything else."""
        return repr(asdict(self.config))

    def new_tokenizer(self) -> PreTrainedTokenizerFast:
        """One token a word."""
        return word_tokenizer(self.vocabulary)

    @property
    def essence_template(self) -> str:
        """A prompt about the subject that no edit rewrites: the value solve keeps its answer near the old one."""
        return ESSENCE

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Every word and mark that a sentence of the world can hold, sorted."""
        return tuple(sorted({word for sentence in self.sentences for word in sentence.split()}))

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """Every statement: each fact in each of its templates, and each subject's essence, each ending in " ."."""
        return tuple(map(sentence, self.statements))

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """What every sentence states; a prompt ends in its subject, so no token stands between it and the answer."""
        essences = ((ESSENCE.format(subject), kind) for subject, kind in self.kinds.items())
        return tuple(Statement(*pair) for pair in (*self.held_in, *essences))

    @cached_property
    def held_in(self) -> tuple[Pair, ...]:
        """(prompt, answer) of every fact in every template: what a trained model must answer."""
        return tuple(
            (template.format(fact.subject), fact.answer)
            for fact in self.facts
            for template in self.templates[fact.relation]
        )

    def text(self, seed: int, documents: int, length: int = 6) -> list[str]:
        """Documents of statements drawn at random, for covariances.

        Args:
            seed: equal seeds give equal documents.
            documents: how many.
            length: statements in each.

        Returns:
            The documents.

        >>> make_world(WorldConfig(subjects=8, relations=1, objects=2)).text(0, documents=1, length=1)
        ['the home town of Beiltor Bondsen Fusford .']
        """
        return draw_documents(self.statements, Random(f"text {seed}"), documents, length)

    def held_out_text(self, seed: int, documents: int, length: int = 6) -> list[str]:
        """Documents for perplexity: every statement was trained on, no document was (they are drawn afresh).

        Args:
            seed: equal seeds give equal documents.
            documents: how many.
            length: statements in each.

        Returns:
            The documents; none of them is among those of `text` for the same sizes but by a chance below
            documents² · len(sentences)^(−length).
        """
        return draw_documents(self.statements, Random(f"held out {seed}"), documents, length)

    def requests(self, seed: int, neighbors: int = 5) -> list[Request]:
        """The stream of edits: each fact once, in shuffled order, with a new answer of the same relation.

        Args:
            seed: draws the order, the templates, the new answers and the neighbours.
            neighbors: at most so many neighbourhood probes a request.

        Returns:
            One request a fact. Its paraphrases are the relation's other templates with the same subject; its
            neighbourhood asks in its own template for other subjects of which the same answer is true.
        """
        chance = Random(f"requests {seed}")
        return [self._request(fact, case, neighbors, chance) for case, fact in enumerate(_shuffled(self.facts, chance))]

    def _request(self, fact: Fact, case: int, neighbors: int, chance: Random) -> Request:
        template, *others = _shuffled(self.templates[fact.relation], chance)
        alike = [subject for subject in self._sharing[fact.relation, fact.answer] if subject != fact.subject]
        return Request(
            case_id=case,
            template=template,
            subject=fact.subject,
            target_new=chance.choice([answer for answer in self.objects[fact.relation] if answer != fact.answer]),
            target_true=fact.answer,
            paraphrases=tuple(other.format(fact.subject) for other in others),
            neighborhood=tuple(
                Probe(template.format(subject), fact.answer) for subject in _shuffled(alike, chance)[:neighbors]
            ),
        )

    @cached_property
    def _sharing(self) -> dict[tuple[str, str], list[str]]:
        sharing: dict[tuple[str, str], list[str]] = {}
        for fact in self.facts:
            sharing.setdefault((fact.relation, fact.answer), []).append(fact.subject)
        return sharing


def make_world(config: WorldConfig) -> World:
    """Make the world of a config.

    Args:
        config: its size and seed.

    Returns:
        The world; answers are spread evenly over each relation's subjects.

    Raises:
        Misuse: the config's sizes do not fit together.

    >>> world = make_world(WorldConfig(subjects=8, relations=1, objects=2))
    >>> world.facts[0]
    Fact(subject='Nasen Paelhold', relation='town', answer='Glumton')
    """
    chance = Random(f"world {config.seed}")
    taken = {word for templates in RELATIONS.values() for template in templates for word in template.split()}
    words = _Words(chance, taken.union(KINDS))
    first = words.take(FIRST_NAMES, config.first_names)
    subjects = tuple(f"{chance.choice(first)} {last}" for last in words.take(LAST_NAMES, config.subjects))
    templates = {name: prompts[: config.templates] for name, prompts in islice(RELATIONS.items(), config.relations)}
    objects = {name: words.take(ENDINGS[name], config.objects) for name in templates}
    answers = {
        name: _shuffled([pool[i % len(pool)] for i in range(len(subjects))], chance) for name, pool in objects.items()
    }
    facts = tuple(Fact(subject, name, answers[name][i]) for i, subject in enumerate(subjects) for name in templates)
    kinds = {subject: chance.choice(KINDS) for subject in subjects}
    return World(config, subjects, templates, objects, facts, kinds)


class _Words:
    """Pronounceable words, none of them twice."""

    def __init__(self, chance: Random, taken: set[str]) -> None:
        self.chance, self.taken = chance, set(taken)

    def take(self, endings: tuple[str, ...], count: int) -> tuple[str, ...]:
        """So many new words with these endings."""
        return tuple(islice(self._fresh(endings), count))

    def _fresh(self, endings: tuple[str, ...]) -> Iterator[str]:
        syllables = 1
        while True:
            stem = "".join(map(self.chance.choice, (ONSETS, VOWELS, CODAS) * syllables))
            word = (stem + self.chance.choice(endings)).capitalize()
            syllables = 2 if word in self.taken else 1
            if word not in self.taken:
                self.taken.add(word)
                yield word


def _shuffled(items: tuple | list, chance: Random) -> list:
    return chance.sample(items, len(items))
