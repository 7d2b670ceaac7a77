"""The appendix is the derivation: every step of the check is in it, in LaTeX that compiles."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import sympy

from theory.__main__ import Show, show
from theory.latex import step
from theory.provers.step import Prover, Step
from theory.provers.trace_algebra import Algebra
from theory.typeset import expression, formula, text


@pytest.mark.parametrize(
    ("line", "typeset"),
    [
        ("plain words, 100 % of them", r"plain words, 100 \% of them"),
        ("k̂ᵀXk̂", r"$\hat{k}^{T}Xk̂$".replace("k̂", r"\hat{k}")),
        ("‖W‖²_F", r"$\|W\|^{2}_{F}$"),
        ("W'², R_{t+1}", r"$W'^{2}$, $R_{t+1}$"),
        ("λ_min ≠ 0", r"$\lambda_{\mathrm{min}} \neq 0$"),
        ("√t and √(mn)", r"$\sqrt{t}$ and $\sqrt{mn}$"),
        ("x²^t", "$x^{2}{}^{t}$"),
        ("‖W'‖²_A' = 1", r"$\|W'\|^{2}_{A'} = 1$"),  # TeX refuses a prime after both scripts
        ("x²_i'", "$x^{2}_{i}{}'$"),
        ("x_i²_j", "$x_{i}^{2}{}_{j}$"),
        ("W m×n, k n×1", r"$W$ $m\times n$, $k$ $n\times1$"),  # two formulas, no product
        ("√(1 + c²) > 1", r"$\sqrt{1+c^{2}} > 1$"),
        ("√(d/2 + ρ(T_N))", r"$\sqrt{d/2+\rho(T_{N})}$"),
        ("`hard_growth` at n = 3", r"\texttt{hard\_growth} at $n = 3$"),
        ("not (η**2*x <= 1)", r"not $(\eta^{2}*x \leq 1)$"),
        ("NAS (M = I) by T5.worst_case. So Wk = 0", r"NAS $(M = I)$ by T5.worst\_case. So $Wk = 0$"),
        ("κ = 120°, ϱ ≥ ⌈log₂N⌉", r"$\kappa = 120^{\circ}$, $\varrho \geq \lceil\mathrm{log}_{2}N\rceil$"),
    ],
)
def test_symbols_become_mathematics(line, typeset, parse):
    assert text(line) == typeset
    parse(text(line))


def test_sides_keep_their_letters():
    a = Algebra({"W": ("m", "n"), "M": ("n", "n")}, ("M",))
    assert expression(2 * a("W M") + a("W")) == r"\left(2\right)\,W\,M + W"
    eta = sympy.Symbol("η", positive=True)
    assert expression(eta**2 / 2) == r"\frac{\eta^{2}}{2}"
    assert formula("M⁻¹ᵀ") == "M^{-1T}"


def test_a_bracket_after_item_is_no_label():
    assert step(Step("[0, 1] holds it")).startswith(r"\item {}[0, 1]")
    assert step(Step("[0, 1]: it", Prover.NUMBERS, found="true")).startswith(r"\item {}[")


def test_an_expression_wider_than_a_line_can_be_broken(parse):
    x, y = sympy.symbols("x y")
    wide = sum(sympy.sin(x + i) * y**i for i in range(40))
    source = expression(wide / (x + 1))
    assert source.startswith("(")
    assert source.endswith(")/(x + 1)")
    assert r"\left" not in source
    assert r"\frac" in expression(x / (x + 1))
    assert r"\left" not in expression(sympy.Mul(x, wide, evaluate=False))
    parse(f"${source}$")


def test_a_rejected_step_says_so_and_an_unknown_symbol_is_named():
    x = sympy.Symbol("x")
    assert r"\neq" in step(Step("it", Prover.SYMBOLS, accepted=False, left=x, right=x + 1))
    assert r"\textbf{(rejected)}" in step(Step("it", Prover.REALS, accepted=False, found="sat x = 3"))
    with pytest.raises(ValueError, match="'漢'"):
        text("漢 = 1")
    with pytest.raises(ValueError, match="'漢'"):
        text("漢字")


def test_the_command_writes_the_appendix_and_pdflatex_compiles_it(tmp_path, capsys):
    target = tmp_path / "T5.tex"
    assert show(Show("T5", latex=target)) == 0
    assert "derivations" in capsys.readouterr().out
    assert target.read_text().rstrip().endswith(r"\end{document}")
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed here; the formulas were read by matplotlib's parser")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", target.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
