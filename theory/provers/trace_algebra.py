"""A decision procedure for identities between matrices and traces whose dimensions are symbols.

An `Algebra` declares letters (matrices and vectors by their shapes), which of them are symmetric, and rewriting rules
between words, such as M·M⁻¹ = I, P·P = P or W·k = 0. An `Expression` is a linear combination of words whose
coefficients are rational functions; it is kept in normal form at all times:

1. words are rewritten by the rules until none applies;
2. a factor that passes through dimension 1 is a number and leaves its word: k·(kᵀ·M·k) becomes (kᵀ·M·k) k;
3. such numbers, and traces, become commuting symbols, one for each class under transposition, under the rules and, for
   traces, under rotation.

*Sound*: every rewriting is an equality of matrices, of whatever size, wherever the rules hold and no denominator
vanishes, so a normal form 0 is a proof. *Complete* in this sense: without rules, distinct symbols are algebraically
independent as soon as the dimensions exceed the degree (second fundamental theorem of the invariants of the orthogonal
groups), so an identity that holds in every dimension has normal form 0. With rules a normal form other than 0 says
"does not follow from these rules", no more; `Algebra.confluent` checks that the order of rewriting cannot matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import sympy

Dim = str | int
Word = tuple[str, ...]
Rule = tuple[str, Mapping[str, Any]]
REWRITES = 10_000  # more than any proof here needs; only rules that run in a circle get so far


def inverses(matrix: str, inverse: str) -> tuple[Rule, ...]:
    """M·M⁻¹ = M⁻¹·M = I, for square letters only."""
    return (f"{matrix} {inverse}", {"": 1}), (f"{inverse} {matrix}", {"": 1})


def projector(letter: str) -> tuple[Rule, ...]:
    """P·P = P."""
    return ((f"{letter} {letter}", {letter: 1}),)


def commuting(first: str, second: str) -> tuple[Rule, ...]:
    """B·A = A·B, written with A in front."""
    return ((f"{second} {first}", {f"{first} {second}": 1}),)


def dimension(dim: Dim) -> sympy.Expr:
    """The number that a dimension stands for in coefficients: tr I."""
    return sympy.Symbol(dim, positive=True) if isinstance(dim, str) else sympy.Integer(dim)


@dataclass(frozen=True)
class Algebra:
    """Letters with their shapes, and what is known of them.

    Attributes:
        shapes: letter -> (rows, columns), each a symbol's name or a number; 1 makes a vector.
        symmetric: the letters that equal their transposes.
        rules: pairs (word, {word: coefficient}), words written as "Wᵀ M k" and "" for I. A rule either shortens its
            word or replaces it by one word of its length. The transposed rules are added.

    Raises:
        ValueError: an unknown letter, a symmetric letter that is not square, a rule whose sides differ in shape, that
            lengthens its word, or whose word passes through dimension 1; two rules such as A·B = I and B·A = I for A
            that is not square.

    >>> a = Algebra({"W": ("m", "n"), "k": ("n", 1)}, rules=[("W k", {})])
    >>> print((a("W") @ a("k") + 2 * a("W") @ a("Wᵀ") @ a("W") @ a("k")).T)
    0
    """

    shapes: Mapping[str, tuple[Dim, Dim]]
    symmetric: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    _rewrites: dict[Word, tuple[tuple[Word, sympy.Expr], ...]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for letter in self.shapes:
            if not letter or set(letter) & set("ᵀ· "):
                raise ValueError(f"the letter {letter!r} holds ᵀ, · or a space, which words are written with")
        for letter in self.symmetric:
            if self.shapes[letter][0] != self.shapes[letter][1]:
                raise ValueError(f"{letter} {self.shapes[letter]} is declared symmetric but is not square")
        for text, combination in self.rules:
            left = self._parse(text)
            right = tuple((self._parse(word), sympy.sympify(c)) for word, c in combination.items())
            self._check_rule(left, right)
            self._rewrites[left] = right
            turned, turned_right = self._transposed(left), [(self._transposed(word), c) for word, c in right]
            if self._combine(((turned, sympy.S.One),)) != self._combine(turned_right):
                self._rewrites[turned] = tuple(turned_right)
        self._check_inverses()

    def __call__(self, text: str) -> Expression:
        """The product of letters that `text` spells, such as "Wᵀ M k"."""
        word = self._parse(text)
        dims = self._dims(word)
        return Expression(self, dims[0], dims[-1], self._combine([(word, sympy.S.One)]))

    def eye(self, dim: Dim) -> Expression:
        """The identity matrix of a dimension."""
        return Expression(self, dim, dim, {(): sympy.S.One})

    def confluent(self) -> bool:
        """Whether every two rules that meet in a word lead to one normal form (Knuth and Bendix's criterion)."""
        return all(
            self._combine((word[:i] + new + word[i + len(a) :], c) for new, c in self._rewrites[a])
            == self._combine((word[:j] + new + word[j + len(b) :], c) for new, c in self._rewrites[b])
            for word, i, a, j, b in self._overlaps()
        )

    def _overlaps(self) -> Iterator[tuple[Word, int, Word, int, Word]]:
        for a in self._rewrites:
            for b in self._rewrites:
                yield from ((a + b[k:], 0, a, len(a) - k, b) for k in range(1, len(b)) if a[-k:] == b[:k])
                yield from ((a, 0, a, j, b) for j in range(len(a)) if a != b and a[j : j + len(b)] == b)

    def _parse(self, text: str) -> Word:
        word = tuple(text.split())
        for factor in word:
            if factor.removesuffix("ᵀ") not in self.shapes:
                raise ValueError(f"{factor} is none of the letters {', '.join(self.shapes)}")
        self._dims(word)
        return tuple(
            factor.removesuffix("ᵀ") if factor.removesuffix("ᵀ") in self.symmetric else factor for factor in word
        )

    def _shape(self, factor: str) -> tuple[Dim, Dim]:
        rows, columns = self.shapes[factor.removesuffix("ᵀ")]
        return (columns, rows) if factor.endswith("ᵀ") else (rows, columns)

    def _dims(self, word: Word) -> list[Dim]:
        """The dimensions in front of, between and behind the factors of a word."""
        shapes = [self._shape(factor) for factor in word]
        for (left, right), (a, b) in zip(pairwise(word), pairwise(shapes), strict=True):
            if a[1] != b[0]:
                raise ValueError(f"{left} {a} cannot be multiplied by {right} {b}: {a[1]} columns against {b[0]} rows")
        return [shapes[0][0], *(columns for _, columns in shapes)] if word else []

    def _check_rule(self, left: Word, right: tuple[tuple[Word, sympy.Expr], ...]) -> None:
        dims, name = self._dims(left), " ".join(left)
        if 1 in dims[1:-1]:
            raise ValueError(f"the rule for {name} passes through dimension 1, where words are cut")
        for word, coefficient in right:
            ends = self._dims(word) or dims[:1] * 2
            if (ends[0], ends[-1]) != (dims[0], dims[-1]):
                raise ValueError(f"the rule for {name} replaces {dims[0]}×{dims[-1]} by {ends[0]}×{ends[-1]}")
            if len(word) > len(left) or (len(word) == len(left) and (len(right) > 1 or coefficient != 1)):
                raise ValueError(f"the rule for {name} does not shorten it; write it the other way round")

    def _check_inverses(self) -> None:
        """A·B = a·I and B·A = b·I have traces a·m = b·n, so that letters of other shapes would prove anything."""
        scalar = [left for left, right in self._rewrites.items() if [word for word, c in right if c != 0] == [()]]
        sizes = {left: self._dims(left)[0] for left in scalar}
        for left, rows in sizes.items():
            for turned in (left[i:] + left[:i] for i in range(1, len(left))):
                if sizes.get(turned, rows) != rows:
                    words = f"{' '.join(left)} = I({rows}) and {' '.join(turned)} = I({sizes[turned]})"
                    raise ValueError(f"{words} hold together only for square letters; give them one dimension")

    def _transposed(self, word: Word) -> Word:
        return tuple(
            factor[:-1] if factor.endswith("ᵀ") else factor if factor in self.symmetric else factor + "ᵀ"
            for factor in reversed(word)
        )

    def _reduce(self, word: Word) -> dict[Word, sympy.Expr]:
        """Apply the rules until none applies."""
        pending, done = [(word, sympy.S.One)], dict[Word, sympy.Expr]()
        for _ in range(REWRITES):
            if not pending:
                return {w: c for w, c in done.items() if c != 0}
            word, coefficient = pending.pop()
            places = ((i, left) for left in self._rewrites for i in range(len(word)) if word[i : i + len(left)] == left)
            at, left = next(places, (0, ()))
            if not left:
                done[word] = done.get(word, sympy.S.Zero) + coefficient
            for new, c in self._rewrites.get(left, ()):
                pending.append((word[:at] + new + word[at + len(left) :], coefficient * c))
        raise ValueError(f"the rules do not come to an end on {'·'.join(word)}; two of them undo each other")

    def _combine(self, terms: Any) -> dict[Word, sympy.Expr]:
        """The normal form of a linear combination of words: reduce, then let numbers leave their words."""
        total = dict[Word, sympy.Expr]()
        for word, coefficient in terms:
            for reduced, c in self._reduce(word).items():
                cuts = [i for i, dim in enumerate(self._dims(reduced)) if dim == 1]
                numbers = [self._atom(reduced[i:j], cyclic=False) for i, j in pairwise(cuts)]
                rest = reduced[: cuts[0]] + reduced[cuts[-1] :] if numbers else reduced
                total[rest] = total.get(rest, sympy.S.Zero) + sympy.Mul(coefficient, c, *numbers)
        return {word: c for word, c in total.items() if c != 0}

    def _atom(self, word: Word, *, cyclic: bool) -> sympy.Expr:
        """The symbol of a number: one for all words that transposition, rules and (in a trace) rotation connect."""
        orbit, pending = {word}, [word]
        while pending:
            current = pending.pop()
            for moved in (self._transposed(current), current[1:] + current[:1] if cyclic else current):
                reduced = self._reduce(moved)
                if len(reduced) != 1 or len(next(iter(reduced))) < len(word):  # the word gets shorter: begin again
                    again = self._trace if cyclic else self._number
                    return sympy.Add(*(c * again(w, self._dims(moved)[0]) for w, c in reduced.items()))
                pending += reduced.keys() - orbit
                orbit |= reduced.keys()
        name = "·".join(min(orbit))
        return sympy.Symbol(f"tr({name})" if cyclic else f"({name})", real=True)

    def _number(self, word: Word, dim: Dim = 1) -> sympy.Expr:
        return self._combine([(word, sympy.S.One)]).get((), sympy.S.Zero)

    def _trace(self, word: Word, dim: Dim) -> sympy.Expr:
        dims = self._dims(word)
        if 1 in dims:
            cut = dims.index(1)
            return self._number(word[cut:] + word[:cut])
        return self._atom(word, cyclic=True) if word else dimension(dim)


@dataclass(frozen=True, eq=False)
class Expression:
    """A matrix: a linear combination of words of an algebra, in normal form.

    Attributes:
        algebra: whose letters and rules apply.
        rows: the symbolic number of rows.
        columns: the symbolic number of columns.
        terms: word -> coefficient.

    >>> a = Algebra({"k": ("n", 1), "A": ("n", "n"), "A⁻¹": ("n", "n")}, ("A", "A⁻¹"), inverses("A", "A⁻¹"))
    >>> k, A, Ai = a("k"), a("A"), a("A⁻¹")
    >>> s = (k.T @ Ai @ k).number()
    >>> ((A + k @ k.T) @ Ai @ k / (1 + s) - k).is_zero()
    True
    """

    algebra: Algebra
    rows: Dim
    columns: Dim
    terms: Mapping[Word, sympy.Expr]

    @property
    def T(self) -> Expression:
        """The transpose."""
        turn = self.algebra._transposed
        terms = self.algebra._combine((turn(word), c) for word, c in self.terms.items())
        return Expression(self.algebra, self.columns, self.rows, terms)

    def __matmul__(self, other: Expression) -> Expression:
        self._check(other, self.columns == other.rows, "multiplied by")
        pairs = ((a + b, c * d) for a, c in self.terms.items() for b, d in other.terms.items())
        return Expression(self.algebra, self.rows, other.columns, self.algebra._combine(pairs))

    def __add__(self, other: Expression) -> Expression:
        self._check(other, (self.rows, self.columns) == (other.rows, other.columns), "added to")
        terms = self.algebra._combine((*self.terms.items(), *other.terms.items()))
        return Expression(self.algebra, self.rows, self.columns, terms)

    def __rmul__(self, number: Any) -> Expression:
        factor = sympy.sympify(number)
        return Expression(self.algebra, self.rows, self.columns, {w: factor * c for w, c in self.terms.items()})

    def __neg__(self) -> Expression:
        return -1 * self

    def __sub__(self, other: Expression) -> Expression:
        return self + -other

    def __truediv__(self, number: Any) -> Expression:
        return (1 / sympy.sympify(number)) * self

    def _check(self, other: Expression, fits: bool, done: str) -> None:
        if self.algebra is not other.algebra:
            raise ValueError(f"{self} and {other} belong to different algebras")
        if not fits:
            shapes = f"{self.rows}×{self.columns} cannot be {done} {other.rows}×{other.columns}"
            raise ValueError(f"{shapes}: {self}, {other}")

    def trace(self) -> sympy.Expr:
        """tr of a square expression, as a rational function of the atoms."""
        if self.rows != self.columns:
            raise ValueError(f"{self} is {self.rows}×{self.columns}; only a square matrix has a trace")
        return sympy.Add(*(c * self.algebra._trace(word, self.rows) for word, c in self.terms.items()))

    def number(self) -> sympy.Expr:
        """A 1×1 expression as a rational function of the atoms."""
        if (self.rows, self.columns) != (1, 1):
            raise ValueError(f"{self} is {self.rows}×{self.columns}, not a number")
        return self.terms.get((), sympy.S.Zero)

    def norm_sq(self, metric: Expression | None = None) -> sympy.Expr:
        """‖X‖²_A = tr(X A Xᵀ); ‖X‖²_F without a metric."""
        return ((self if metric is None else self @ metric) @ self.T).trace()

    def is_zero(self) -> bool:
        """Whether every coefficient cancels to 0."""
        return all(sympy.cancel(c) == 0 for c in self.terms.values())

    def __str__(self) -> str:
        factored = {word: sympy.factor(c) for word, c in self.terms.items()}
        terms = [f"({c}) {'·'.join(word) or 'I'}" for word, c in factored.items() if c != 0]
        return " + ".join(terms).replace("(1) ", "") or "0"
