"""From the LaTeX that `theory.typeset` writes to MathML: a closed set of commands, and an error for any other.

A long formula becomes several `<math>` elements with a place to break the line between them, which browsers lack inside
one.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from markupsafe import Markup, escape

from theory.typeset import SYMBOLS

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?|\S|\s+", re.DOTALL)
NAMED = {latex: symbol for symbol, latex in SYMBOLS.items() if re.fullmatch(r"\\(?:[A-Za-z]+|\|)", latex)}
"""Commands that are a symbol, as the typesetter knows them."""
ACCENTS = {r"\hat": "^", r"\tilde": "~", r"\bar": "¯", r"\dot": "˙"}
SPACES = {r"\,": "0.17em", r"\;": "0.28em", r"\quad": "1em", r"\ ": "0.25em"}
SIGNS = {r"\{": "{", r"\}": "}", r"\%": "%", r"\#": "#", r"\&": "&", r"\_": "_", r"\$": "$", "-": "−", "'": "′"}
FUNCTIONS = {
    rf"\{name}" for name in ("log", "ln", "exp", "sin", "cos", "tan", "min", "max", "lim", "sup", "inf", "det")
}
RELATIONS = set("=<>≤≥≠≈≡∼∝∈⊂⊆→←⇒⇔⪰⪯≪≫∀∃")
BINARY = set("+−·×±∘⊗⊙∪∩∖⟂⊥")
OPENING, CLOSING = set("([{⌊⌈⟨"), set(")]}⌋⌉⟩")
UPRIGHT = set("∞∅°…√′%#&_$∂∇")
NORMAL = ' mathvariant="normal"'
LONG = 14  # visible characters from which on a formula may be broken


class Node(NamedTuple):
    """A part of a formula: its MathML, its role in a row, and how many characters a reader sees of it."""

    xml: str
    role: str
    width: int


def formula(source: str, display: bool = False) -> Markup:
    r"""A formula as MathML.

    Args:
        source: the inside of LaTeX's `$...$`.
        display: fractions at full size.

    Returns:
        One `<math>` element, or several with `<wbr>` between them where the formula is long.

    Raises:
        ValueError: a command or a character that is not known here, or a group that does not end.

    >>> print(formula("x^{2}"))
    <math><msup><mi>x</mi><mn>2</mn></msup></math>
    """
    nodes = Reader(source).whole()
    opening = '<math displaystyle="true">' if display else "<math>"
    return Markup("<wbr>").join(
        Markup(f"{opening}{''.join(node.xml for node in part)}</math>") for part in broken(nodes)
    )


def broken(nodes: list[Node]) -> list[list[Node]]:
    """A row in parts: after every relation, and after every sum and product outside brackets, if the row is long."""
    if sum(node.width for node in nodes) < LONG:
        return [nodes]
    parts: list[list[Node]] = [[]]
    depth = 0
    for node in nodes:
        parts[-1].append(node)
        depth += (node.role == "open") - (node.role == "close")
        wide = sum(one.width for one in parts[-1]) >= LONG
        if node.role == "relation" or (node.role in {"binary", "comma"} and (depth <= 0 or wide)):
            parts.append([])
    return [part for part in parts if part]


class Reader:
    """Reads one formula from left to right."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = [token for token in TOKEN.findall(source) if token.strip() or token == r"\ "]
        self.at = 0

    def whole(self) -> list[Node]:
        """The formula, to its end."""
        nodes = self.row(set())
        if self.at < len(self.tokens):
            raise self.unknown()
        return nodes

    def unknown(self) -> ValueError:
        """The error for the token that cannot be read here."""
        what = repr(self.tokens[self.at]) if self.at < len(self.tokens) else "an end"
        return ValueError(f"{what} in the formula {self.source} has no MathML here; add it to figures/mathml.py")

    def peek(self) -> str:
        """The next token; empty at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        """The next token, which must be the one that is wanted, if any is."""
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise self.unknown()
        self.at += 1
        return token

    def row(self, ends: set[str]) -> list[Node]:
        """Atoms with their scripts up to one of the tokens that end the row."""
        nodes: list[Node] = []
        while self.peek() and self.peek() not in ends:
            node = self.scripts(self.atom(nodes[-1].role if nodes else "", ends))
            if nodes and nodes[-1].role == "function" and node.role == "letter":
                nodes.append(Node('<mspace width="0.17em"/>', "space", 0))
            nodes.append(node)
        return nodes

    def group(self) -> Node:
        """A group in braces, or a single atom."""
        if self.peek() != "{":
            return self.atom("", set())
        self.take("{")
        nodes = self.row({"}"})
        self.take("}")
        if len(nodes) == 1:
            return nodes[0]
        return Node(f"<mrow>{''.join(node.xml for node in nodes)}</mrow>", "letter", sum(node.width for node in nodes))

    def scripts(self, base: Node) -> Node:
        """An atom with primes, superscript and subscript, in whatever order they stand."""
        raised: list[Node] = []
        lowered: Node | None = None
        while self.peek() in {"^", "_", "'"}:
            sign = self.peek()
            if (sign == "_" and lowered) or (sign == "^" and raised):
                raise self.unknown()
            self.take()
            if sign == "'":  # the sign is raised as it is
                prime = '<mo lspace="0" rspace="0">′</mo>'
                base = base._replace(xml=f"<mrow>{base.xml}{prime}</mrow>", width=base.width + 1)
            elif sign == "^":
                raised.append(self.group())
            else:
                lowered = self.group()
        if not raised and lowered is None:
            return base
        width = base.width + sum(node.width for node in raised) + (lowered.width if lowered else 0)
        above = "".join(node.xml for node in raised)
        role = base.role if base.role in {"open", "close", "function"} else "letter"
        if lowered is None:
            return Node(f"<msup>{base.xml}{above}</msup>", role, width)
        if not raised:
            return Node(f"<msub>{base.xml}{lowered.xml}</msub>", role, width)
        return Node(f"<msubsup>{base.xml}{lowered.xml}{above}</msubsup>", role, width)

    def atom(self, before: str, ends: set[str]) -> Node:
        """One atom without its scripts; `before` is the role of what stands before it."""
        token = self.peek()
        if token in {"^", "_", "'"}:
            return Node("<mrow></mrow>", "letter", 0)
        if token == "{":
            return self.group()
        if token in {"", "}", r"\right"}:
            raise self.unknown()
        if token in COMMANDS:
            self.at += 1
            return COMMANDS[token](self)
        if token in SPACES:
            self.at += 1
            return Node(f'<mspace width="{SPACES[token]}"/>', "space", 0)
        if token in FUNCTIONS:
            self.at += 1
            return Node(f"<mi>{token[1:]}</mi>", "function", len(token) - 1)
        if token[0].isdigit():
            self.at += 1
            return Node(f"<mn>{token.replace('-', '−')}</mn>", "letter", len(token))
        sign = NAMED.get(token) or SIGNS.get(token) or token
        if len(sign) > 1 or not (sign.isascii() or sign in NAMED.values() or sign in SIGNS.values()):
            raise self.unknown()
        self.at += 1
        if sign == "*":
            sign = "·" if self.multiplies(before, ends) else "∗"
        return symbol(sign, before)

    def multiplies(self, before: str, ends: set[str]) -> bool:
        """Whether the star just read stands between two factors; in ‖v*‖ it is a mark of the letter."""
        left_open = self.tokens[: self.at].count(r"\|") % 2 == 1
        closing = {"", "^", "_", *")],;.:=/+-", *ends} | ({r"\|"} if left_open else set())
        return before not in {"", "open", "relation", "binary"} and self.peek() not in closing

    def fraction(self) -> Node:
        r"""What stands behind \frac."""
        over, under = self.group(), self.group()
        return Node(f"<mfrac>{over.xml}{under.xml}</mfrac>", "letter", max(over.width, under.width))

    def root(self) -> Node:
        r"""What stands behind \sqrt."""
        degree = None
        if self.peek() == "[":
            self.take()
            degree = self.row({"]"})
            self.take("]")
        under = self.group()
        if degree is None:
            return Node(f"<msqrt>{under.xml}</msqrt>", "letter", under.width + 1)
        index = f"<mrow>{''.join(node.xml for node in degree)}</mrow>"
        return Node(f"<mroot>{under.xml}{index}</mroot>", "letter", under.width + 1)

    def fenced(self) -> Node:
        r"""What stands between \left and \right, with brackets that grow."""
        left = self.fence()
        nodes = self.row({r"\right"})
        self.take(r"\right")
        inside = "".join(node.xml for node in nodes)
        return Node(f"<mrow>{left}{inside}{self.fence()}</mrow>", "bracketed", sum(node.width for node in nodes) + 2)

    def fence(self) -> str:
        """A bracket that grows."""
        token = self.take()
        sign = NAMED.get(token) or SIGNS.get(token) or token
        if token == ".":
            return ""
        if sign not in OPENING | CLOSING | set("|‖/"):
            self.at -= 1
            raise self.unknown()
        return f'<mo fence="true" stretchy="true" lspace="0" rspace="0">{escape(sign)}</mo>'

    def words(self) -> Node:
        r"""What stands behind \mathrm: an upright name."""
        self.take("{")
        name = ""
        while self.peek().isalnum():
            name += self.take()
        self.take("}")
        return Node(
            f"<mi{NORMAL if len(name) == 1 else ''}>{name}</mi>", "function" if len(name) > 1 else "letter", len(name)
        )

    def blackboard(self) -> Node:
        r"""What stands behind \mathbb."""
        self.take("{")
        letter = unicodedata.lookup(f"DOUBLE-STRUCK CAPITAL {self.take()}")
        self.take("}")
        return Node(f"<mi>{letter}</mi>", "letter", 1)

    def accent(self) -> Node:
        """A letter below an accent, whose command was just read."""
        mark = ACCENTS[self.tokens[self.at - 1]]
        below = self.group()
        return Node(f'<mover accent="true">{below.xml}<mo stretchy="false">{mark}</mo></mover>', "letter", below.width)


COMMANDS = {
    r"\frac": Reader.fraction,
    r"\sqrt": Reader.root,
    r"\left": Reader.fenced,
    r"\mathrm": Reader.words,
    r"\operatorname": Reader.words,
    r"\mathbb": Reader.blackboard,
    **dict.fromkeys(ACCENTS, Reader.accent),
}
"""Commands with arguments."""


def symbol(sign: str, before: str) -> Node:
    """A single character: a letter, or an operator with the spacing of its role."""
    shown = escape(sign)
    if sign.isalpha() or sign in UPRIGHT:
        upright = sign in UPRIGHT or (unicodedata.name(sign).startswith("GREEK CAPITAL"))
        return Node(f"<mi{NORMAL if upright else ''}>{shown}</mi>", "letter", 1)
    if sign == "∗":
        return Node('<mo lspace="0" rspace="0">*</mo>', "sign", 1)
    if sign in RELATIONS:
        return Node(f'<mo form="infix">{shown}</mo>', "relation", 2)
    if sign in BINARY:
        unary = before in {"", "open", "relation", "binary", "comma"}
        form, role = ("prefix", "letter") if unary else ("infix", "binary")
        return Node(f'<mo form="{form}">{shown}</mo>', role, 2)
    if sign in OPENING:
        return Node(f'<mo form="prefix" stretchy="false">{shown}</mo>', "open", 1)
    if sign in CLOSING:
        return Node(f'<mo form="postfix" stretchy="false">{shown}</mo>', "close", 1)
    if sign in ",;":
        return Node(f'<mo separator="true" lspace="0">{shown}</mo>', "comma", 1)
    if sign in '|‖∥/!.:"?@`~∫∑∏':
        return Node(f'<mo stretchy="false" lspace="0" rspace="0">{shown}</mo>', "sign", 1)
    raise ValueError(f"the character {sign!r} has no MathML here; add it to figures/mathml.py")
