"""From the symbols that proofs are written in (‖W‖²_{M⁻¹}, x̂ᵀ, Σ) to LaTeX that pdflatex understands."""

from __future__ import annotations

import re
import unicodedata

import sympy

from theory.provers.trace_algebra import Expression, Word

SYMBOLS = {
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "ζ": r"\zeta", "η": r"\eta",
    "θ": r"\theta", "κ": r"\kappa", "λ": r"\lambda", "μ": r"\mu", "ν": r"\nu", "ξ": r"\xi", "π": r"\pi", "ρ": r"\rho",
    "σ": r"\sigma", "τ": r"\tau", "φ": r"\varphi", "χ": r"\chi", "ψ": r"\psi", "ω": r"\omega", "ϕ": r"\phi",
    "Γ": r"\Gamma", "Δ": r"\Delta", "Θ": r"\Theta", "Λ": r"\Lambda", "Σ": r"\Sigma", "Φ": r"\Phi", "Ψ": r"\Psi",
    "Ω": r"\Omega", "Π": r"\Pi", "‖": r"\|", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "≈": r"\approx", "∞": r"\infty",
    "√": r"\surd", "∫": r"\int", "·": r"\cdot", "×": r"\times", "−": "-", "⟂": r"\perp", "⊥": r"\perp", "∈": r"\in",
    "→": r"\to", "←": r"\leftarrow", "⇒": r"\Rightarrow", "⇔": r"\Leftrightarrow", "∝": r"\propto", "±": r"\pm",
    "⟨": r"\langle", "⟩": r"\rangle", "∘": r"\circ", "∑": r"\sum", "∏": r"\prod", "∂": r"\partial", "∇": r"\nabla",
    "⊂": r"\subset", "⊆": r"\subseteq", "∪": r"\cup", "∩": r"\cap", "⌊": r"\lfloor", "⌋": r"\rfloor", "∼": r"\sim",
    "⊗": r"\otimes", "⊙": r"\odot", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "…": r"\ldots", "ℝ": r"\mathbb{R}",
    "∅": r"\emptyset", "⪰": r"\succeq", "⪯": r"\preceq", "∀": r"\forall", "∃": r"\exists", "ℓ": r"\ell", "≡": r"\equiv",
    "⌈": r"\lceil", "⌉": r"\rceil", "°": r"^{\circ}", "∥": r"\parallel",
    "ϱ": r"\varrho", "ϵ": r"\epsilon", "ϑ": r"\vartheta", "ι": r"\iota", "υ": r"\upsilon", "≪": r"\ll",
    "≫": r"\gg", "ₖ": "_{k}", "′": "'", "∖": r"\setminus", "⁄": "/",
}  # fmt: skip
"""Every symbol of the derivations, as mathematics."""

RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ᵀᵗⁿⁱᵖ⁽⁾ᵏᵇᶜᵈʲˢᵘ", "0123456789-+Ttnip()kbcdjsu", strict=True))
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ᵢⱼₖₗₘₙₚₛₜₓ", "0123456789+-()ijklmnpstx", strict=True))
ACCENTS = {"\u0302": r"\hat", "\u0303": r"\tilde", "\u0304": r"\bar", "\u0305": r"\bar", "\u0307": r"\dot"}
MARKS = set(SYMBOLS) | set(RAISED) | set(LOWERED) | set(ACCENTS) | set("_^=<>")
FUNCTIONS = ("tr", "ln", "log", "exp", "lim", "sup", "inf", "min", "max", "det", "rank", "sin", "cos", "var")
PLAIN = re.compile(rf"(?:{'|'.join(FUNCTIONS)}|(?<![A-Za-z])[a-z](?![a-z])|[A-Z]|(?<=[A-Z])[a-z]|[0-9()\[\]+/*'.,|-])+")
"""What may stand in a formula although it holds no symbol: numbers, brackets, single letters, functions."""
NAMES = re.compile(
    r"\(?(?:[MPST][0-9]+b?\.\w+|(?:[A-Z]{4,}|NAS|EAC|NSE|GPT)(?:[-+]\w+)?|So|If|In|At|As|By|It|No)(?:'s)?[).,;:]*"
)
"""Ids of claims, names of rules and what opens a sentence, which are words wherever they stand."""
OPERATORS = set("=<>≤≥≠≈≡+-−·×→←⇒⇔∼∝∈±⟂⊥⪰⪯≪≫*/∖∪∩⊂⊆∘⊗⊙")
"""What stands between two words of one formula."""
ESCAPED = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "–": "--", "—": "---", "’": "'", "“": "``", "”": "''", "é": r"\'e", "ö": r'\"o', "ü": r'\"u', "§": r"\S{}",
}  # fmt: skip
"""What stands for itself in words, in TeX."""
ROOT = r"√\(((?:[^()]|\([^()]*\))*)\)"
WIDE = 250  # characters of LaTeX that may go beyond a line


def text(line: str) -> str:
    r"""A line of a derivation: words as words, every word that holds a symbol as mathematics, `names` as code.

    Args:
        line: the line, in the symbols of `SYMBOLS`.

    Returns:
        LaTeX in plain ASCII.

    Raises:
        ValueError: a character that nothing here knows how to typeset.

    >>> print(text("so ‖W‖²_{M⁻¹} ≤ R_0 holds"))
    so $\|W\|^{2}_{M^{-1}} \leq R_{0}$ holds
    """
    pieces = line.split("`")
    return "".join(rf"\texttt{{{prose(piece)}}}" if i % 2 else sentence(piece) for i, piece in enumerate(pieces))


def sentence(line: str) -> str:
    """A line without names of code."""
    words = whole(spread(line)).split(" ")
    names = [NAMES.fullmatch(word.replace("’", "'")) is not None for word in words]
    sure = [bool(set(word) & MARKS) and not name for word, name in zip(words, names, strict=True)]
    near = [[*sure[max(i - 1, 0) : i], *sure[i + 1 : i + 2]] for i in range(len(words))]
    math = [
        one or (joins(word, sides) and not name)
        for word, one, sides, name in zip(words, sure, near, names, strict=True)
    ]
    typed = [typeset(word) if one else prose(word) for word, one in zip(words, math, strict=True)]
    for i in range(1, len(words)):  # W m×n are two formulas, a ≤ b is one
        if words[i - 1][-1:] in OPERATORS or words[i][:1] in OPERATORS:
            typed[i - 1 : i + 1] = "", f"{typed[i - 1]} {typed[i]}".replace("$ $", " ")
    return " ".join(part for part, word in zip(typed, words, strict=True) if part or not word)


def whole(line: str) -> str:
    """A line with sympy's signs as symbols, and with no space under a root, which would part it."""
    line = re.sub(r"\*\*(?!\*)", "^", line.replace("<=", "≤").replace(">=", "≥"))
    return re.sub(ROOT, lambda root: root[0].replace(" ", ""), line)


def joins(word: str, sides: list[bool]) -> bool:
    """Whether a word without symbols belongs to the mathematics beside it, such as the 0 of "≥ 0"; "a" only between."""
    bare = word.strip(",.;:")
    short = PLAIN.fullmatch(bare) is not None and bool(bare)
    return short and (all(sides) if bare in {"a", "A", "I"} else any(sides))


def spread(source: str) -> str:
    """Accents as marks of their own behind the letter; relations such as ≠ stay whole."""
    return unicodedata.normalize("NFD", source).replace("=\u0338", "≠")


def typeset(word: str) -> str:
    """A word as mathematics, its punctuation outside."""
    inner = word.rstrip(".,;:")
    return f"${formula(inner)}${word[len(inner) :]}" if inner else word


def prose(word: str) -> str:
    """A word of ordinary text."""
    return "".join(escape(letter) for letter in unicodedata.normalize("NFC", word))


def escape(letter: str) -> str:
    """One letter of ordinary text."""
    if letter in ESCAPED:
        return ESCAPED[letter]
    if not letter.isascii():
        raise ValueError(f"the character {letter!r} ({unicodedata.name(letter, 'unnamed')}) has no LaTeX here; add it")
    return letter


def formula(source: str) -> str:
    r"""A formula in symbols as the inside of LaTeX's mathematics.

    >>> print(formula("k̂ᵀC⁻¹k̂/s_min"))
    \hat{k}^{T}C^{-1}\hat{k}/s_{\mathrm{min}}
    """
    spelled = re.sub("(.)([" + "".join(ACCENTS) + "])", lambda pair: f"{ACCENTS[pair[2]]}{{{pair[1]}}}", spread(source))
    for marks, sign in ((RAISED, "^"), (LOWERED, "_")):
        run = "([" + "".join(marks) + "]+)"
        spelled = re.sub(run, lambda found, m=marks, s=sign: f"{s}{{{''.join(m[x] for x in found[1])}}}", spelled)  # type: ignore[misc]
    spelled = re.sub(r"([_^])\(([^()]*)\)", r"\1{\2}", spelled)
    spelled = re.sub(r"([_^])([A-Z]'+|[A-Za-z]+|[0-9]+)", r"\1{\2}", spelled)
    spelled = re.sub(rf"{ROOT}|√(\w)", lambda found: rf"\sqrt{{{found[1] or found[2]}}}", spelled)
    spelled = re.sub(r"(?<![\\A-Za-z])(?:([a-z]{3,})|(tr|ln))(?![A-Za-z])", r"\\mathrm{\1\2}", spelled)
    spelled = "".join(f"{SYMBOLS[x]} " if SYMBOLS.get(x, "").startswith("\\") else SYMBOLS.get(x, x) for x in spelled)
    spelled = re.sub(r"(\\[a-z]+) (?=[^A-Za-z])", r"\1", re.sub(r"\\\| ", r"\\|", spelled)).rstrip()
    spelled = balanced(separate(spelled.replace("%", r"\%").replace("#", r"\#").replace("&", r"\&")))
    unknown = {letter for letter in spelled if not letter.isascii()}
    if unknown:
        raise ValueError(
            f"the characters {', '.join(map(repr, sorted(unknown)))} of {source} have no LaTeX here; add them"
        )
    return spelled


def separate(source: str) -> str:
    """Put an empty group between two superscripts or two subscripts, which TeX refuses to stack on one letter."""
    group = r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}"
    for sign, between, other in ((r"\^", "_", "['^]"), ("_", r"\^", "_")):
        source = re.sub(rf"({sign}{group}(?:{between}{group})?)(?={other})", r"\1{}", source)
    return source


def balanced(source: str) -> str:
    """Braces that belong to no group are shown as braces: a set, or half of an index that a space cut off."""
    depth, opened = 0, []
    pieces = list(source)
    for at, letter in enumerate(pieces):
        if letter == "{" and (at == 0 or pieces[at - 1] != "\\"):
            opened.append(at)
            depth += 1
        elif letter == "}" and (at == 0 or pieces[at - 1] != "\\"):
            if opened:
                opened.pop()
            else:
                pieces[at] = r"\}"
    for at in opened:
        pieces[at] = r"\{"
    return re.sub(r"([_^])\\\{", r"\1{}\\{", "".join(pieces))


def expression(value: object) -> str:
    """A side of an equation: a matrix expression, a sympy expression, or anything else as it prints.

    What is wider than a line is a quotient with a slash, in brackets that TeX may break.
    """
    if isinstance(value, Expression):
        terms = [f"{factor(c)}{word(w, value)}" for w, c in value.terms.items() if sympy.cancel(c) != 0]
        return " + ".join(terms) or "0"
    if isinstance(value, sympy.Basic):
        names = {s: formula(s.name) for s in value.free_symbols}
        typed = separate(sympy.latex(value, symbol_names=names))
        if len(typed) <= WIDE:
            return typed
        over, under = (separate(sympy.latex(part, symbol_names=names)) for part in sympy.fraction(value))
        return (over if under == "1" else f"({over})/({under})").replace(r"\left", "").replace(r"\right", "")
    return formula(str(value))


def factor(coefficient: sympy.Expr) -> str:
    """A coefficient in front of a word; 1 is not written."""
    found = sympy.factor(coefficient)
    return "" if found == 1 else rf"\left({expression(found)}\right)\,"


def word(letters: Word, value: Expression) -> str:
    """A product of matrices."""
    return r"\,".join(formula(letter) for letter in letters) or f"I_{{{formula(str(value.rows))}}}"
