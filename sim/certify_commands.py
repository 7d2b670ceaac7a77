"""`python -m sim rules` and `python -m sim certify`; nothing heavy is imported before one of them runs."""

from __future__ import annotations

from typing import Any

from sim.certify_config import (
    CertifyCommand,
    RulesCommand,
    certify_line,
    check_certify,
    check_rules,
    check_workers,
)


def rules(command: RulesCommand) -> int:
    """List the catalogue with its certified regimes."""
    check_rules(command)
    workers = check_workers(command.workers)
    from sim.certified import certify_all, entries, recorded
    from sim.results import provenance
    from theory.files import check_place, write_json
    from theory.progress import counter

    check_place(command.json)
    listing: dict[str, Any]
    if command.certify:
        rows, asked = list[dict[str, Any]](), entries()
        with counter(len(asked), "rules and transforms") as advanced:
            options = {"seeds": command.seeds, "seed": command.seed, "workers": workers}
            for row in certify_all(asked, **options):
                rows.append(row)
                advanced()
        listing = {"seeds": command.seeds, "seed": command.seed, "provenance": provenance(), "rows": rows}
    else:
        listing = recorded()
    rows = listing["rows"]
    width = max(len(row["name"]) for row in rows)
    heads = ("kind", "name", "regime", "with NAS", "metric form", "source")
    for kind, name, plain, nas, form, source in (
        heads,
        *(
            (row["kind"], row["name"], _regime(row["plain"]), _regime(row["nas"]), row["form"], row["source"])
            for row in rows
        ),
    ):
        print(f"{kind:6} {name:{width}}  {plain:11}  {nas:11}  {form or '—':40}  {source}")
    print("Regimes under a relative shift of isotropic keys; transforms behind ROME. --json has rates and intervals.")
    if command.json:
        write_json(command.json, listing)
        print(f"wrote {command.json}")
    return 0


def _regime(certificate: dict[str, object] | None) -> str:
    return "—" if certificate is None else str(certificate["regime"])


def certify(command: CertifyCommand) -> int:
    """Print an editor's certificate, setting by setting."""
    config = command.run
    check_certify(config)
    workers = check_workers(command.workers)
    from sim.card import as_card, as_rows, as_values, summed_up
    from sim.certificate import certify as findings_of
    from sim.certificate import check_laws
    from sim.compose import by_words, origin
    from sim.laws import LAWS, TRAITS, tried
    from sim.results import claim_folder, provenance
    from sim.resume import finish
    from sim.settings import BASE, SETTINGS
    from theory.files import check_place, write_json, write_text
    from theory.progress import counter

    for place in (command.json, command.card):
        check_place(place)
    name = " + ".join([config.rule, *config.values, *config.deltas])
    make, findings = by_words(config.rule, config.values, config.deltas), []
    check_laws(make, BASE)
    traits = tried(make, BASE, TRAITS)
    if command.out:
        claim_folder(command.out, config)
    with counter(len(SETTINGS), "settings") as advanced:
        options = {name: getattr(config, name) for name in ("seeds", "seed", "looks", "error_rate", "thorough")}
        for finding in findings_of(make, workers=workers, **options):
            findings.append(finding)
            advanced()
            print(f"{finding.setting.name}: {finding.verdict.regime}; {summed_up(finding)}")
    slow = next((one.step_by_step for one in findings if one.step_by_step and one.setting.keys != "unseen"), None)
    if slow:
        print(f"step by step, not in blocks: {slow}")
    if not config.thorough and any(one.verdict.regime == "undecided" and not one.refused for one in findings):
        print("undecided: the edits given do not tell; --thorough, --looks and --seeds give more")
    stated = {"formed": make(BASE).form is not None, "by_request": make(BASE).values.by_request}
    laws = [law for law in LAWS if stated.get(law, True)]
    values = as_values(name, findings, laws, traits, config.seed, config.seeds)
    made = provenance() | origin(config.rule)
    if command.out:
        finish(command.out, values, {"rows": as_rows(findings)})
        print(f"wrote {command.out}")
    if command.json:
        write_json(command.json, values | {"provenance": made})
        print(f"wrote {command.json}")
    if command.card:
        write_text(command.card, as_card(values, certify_line(config), made))
        print(f"wrote {command.card}")
    return 0
