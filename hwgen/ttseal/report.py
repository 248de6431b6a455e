"""Rows, tables and texts of a selection; everything comes from ``result.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwgen.ttseal.measure import spread
from hwgen.ttseal.settings import AttackSettings
from hwgen.ttseal.units import Unit, share_of

#: sets in the order in which they are shown
SETS = ("none", "random", "firstlast", "norm", "chosen", "all")
#: keys of a row of docs/results/ttseal.json
KEYS = ("network", "dataset", "images", "set", "encrypted_share", "accuracy_float", "accuracy_tt", "accuracy_int8",
        "substitute_accuracy_mean", "substitute_accuracy_std", "seeds", "queries", "transfer_success",
        "cycles_added_share", "encrypted_share_parameters", "transfer")

#: what the attacks of a transfer are called in tables
TITLES = {"noise": "noise", "fgsm": "FGSM", "pgd": "PGD", "auto": "worst case"}


def make_rows(result: dict[str, Any], cycles_added: dict[str, float] | None = None) -> list[dict[str, Any]]:
    """One row a set, with the keys ``KEYS``.

    ``encrypted_share`` is the share of the stored bytes (weights, biases and requantisation of all cores and kernels),
    ``encrypted_share_parameters`` that of the parameters; ``substitute_accuracy_*`` are on the test images, over the
    seeds; ``transfer`` is the first seed's success on the victim, attack -> epsilon (in 1/255) -> share (0..1), and
    ``transfer_success`` that of ``auto`` at the headline epsilon; both None if they were not measured.

    Args:
        result: of ``hwgen.ttseal.select``.
        cycles_added: set -> share of the cycles that decryption and authentication add, from a simulation of the whole
            network; sets that are not named get None: not measured.
    """
    settings, accuracy = result["settings"], result["accuracy"]
    units = [Unit(**{**u, "shape": tuple(u["shape"])}) for u in result["units"]]
    rows = []
    for name in SETS:
        measured, transfer = result["sets"][name], result["transfer"][name]
        found = spread([m["accuracy_test"] for m in measured])
        success = None
        if transfer is not None:
            success = at(transfer["success"]["auto"], settings["transfer"]["headline"])
        values = (
            result["model"], result["dataset"], result["test_images"], name,
            float(np.mean([share_of(units, m["encrypted"]) for m in measured])),
            accuracy["float"], accuracy["tt"], accuracy["int8"], found["mean"], found["std"], len(measured),
            max(m["queries"] for m in measured), success, (cycles_added or {}).get(name),
            float(np.mean([share_of(units, m["encrypted"], "parameters") for m in measured])),
            transfer and {attack: {str(e): at(found, e) for e in settings["transfer"]["epsilons"]}
                          for attack, found in transfer["success"].items()})
        rows.append(dict(zip(KEYS, values, strict=True)))
    return rows


def at(by_epsilon: dict[Any, float], epsilon: int) -> float:
    """The value for an epsilon; JSON turns the keys into texts."""
    return by_epsilon[epsilon] if epsilon in by_epsilon else by_epsilon[str(epsilon)]


def percent(value: float | None, digits: int = 1) -> str:
    """A share for people."""
    return "not measured" if value is None else f"{100 * value:.{digits}f} %"


def _recorded(accuracy: Mapping[str, Any]) -> str:
    """Of the float network."""
    if accuracy["float"] is None:
        return "float not recorded by the recipe"
    return f"float {percent(accuracy['float'], 2)} (recorded, on {accuracy['float_images']:,} images)"


def facts(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What a reader needs to know besides the rows."""
    settings, units = result["settings"], result["units"]
    attack, transfer, accuracy = settings["attack"], settings["transfer"], result["accuracy"]
    chosen = set(result["verified"]["nodes"])
    parameters, total = sum(u["parameters"] for u in units), sum(u["bytes"] for u in units)
    taken = [u for u in units if u["node"] in chosen]
    queries = attack["seed_images"] * 2 ** attack["rounds"]
    return [
        ("network", f"{result['model']} ({result['origin']}): {len(units)} cores and kernels, {parameters:,} "
                    f"parameters, {total:,} stored bytes"),
        ("compression", f"{result['dense_parameters'] / parameters:.1f} times: the dense layers have "
                        f"{result['dense_parameters']:,} parameters"),
        ("accuracy", f"{_recorded(accuracy)}, TT {percent(accuracy['tt'], 2)}, int8 "
                     f"{percent(accuracy['int8'], 2)} on {accuracy['images']:,} test images of {result['dataset']}"),
        ("attacker", f"{attack['seed_images']} seed images, {attack['rounds']} rounds, {queries:,} queries a set; "
                     f"{attack['epochs']} epochs a round and {attack['last_epochs']} more in the last, "
                     f"{AttackSettings(**attack).total_steps:,} optimiser steps; plain weights "
                     f"{attack['known']}; {settings['seeds']} seed{'s' if settings['seeds'] > 1 else ''}"),
        ("black box", f"A_BB {percent(result['black_box']['all_seeds'])} on {settings['validation_images']:,} "
                      f"validation images; limit A_BB + {percent(settings['delta'], 0)} = {percent(result['limit'])}"),
        ("threshold", "not searched: the selection was given" if result["threshold"] is None else
         f"the {result['threshold']['count']} most important, {result['choice']['prefix_bytes']:,} bytes; knapsack: "
         f"{len(result['choice']['nodes'])} items, {result['choice']['bytes']:,} bytes in "
         f"{result['choice']['seconds']:.3f} s"),
        ("verified", f"{_log(result['verified']['log'])}; "
                     f"{'holds' if result['verified']['holds'] else 'DOES NOT HOLD'} on the validation images; on the "
                     f"test images, which nothing is chosen by, {_on_test(result)}"),
        ("chosen", f"{len(chosen)} of {len(units)}: {sum(u['bytes'] for u in taken):,} bytes "
                   f"({percent(sum(u['bytes'] for u in taken) / total, 2)}), {sum(u['parameters'] for u in taken):,} "
                   f"parameters ({percent(sum(u['parameters'] for u in taken) / parameters, 2)})"),
        ("transfer", "not measured" if transfer is None else
         f"up to {transfer['images']} test images that the victim classifies correctly; worst case of PGD, APGD-CE and "
         f"APGD-DLR at {transfer['headline']}/255, {transfer['steps']} steps, {transfer['restarts']} restarts"),
    ]


def _on_test(result: dict[str, Any]) -> str:
    """The chosen set against black box: mean accuracies over the seeds."""
    chosen, blind = (spread([m["accuracy_test"] for m in result["sets"][name]])["mean"] for name in ("chosen", "all"))
    within = "within" if chosen - blind <= result["settings"]["delta"] + 1e-9 else "NOT within"
    return (f"{percent(chosen)} against A_BB {percent(blind)}: {within} {percent(result['settings']['delta'], 0)}")


def _log(log: Sequence[Sequence[Any]]) -> str:
    added = sum(kind == "add" for kind, _, _ in log)
    dropped = sum(kind == "drop" for kind, _, _ in log)
    return f"{percent(log[0][2])} at first, {added} added, {dropped} removals tried"


def table_rows(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Cells for people: what ``COLUMNS`` says."""
    return [(r["set"], percent(r["encrypted_share"], 2), percent(r["encrypted_share_parameters"], 2),
             f"{percent(r['substitute_accuracy_mean'])} ± {100 * r['substitute_accuracy_std']:.1f}" if r["seeds"] > 1
             else percent(r["substitute_accuracy_mean"]),
             percent(r["transfer_success"]), f"{r['queries']:,}", f"{r['seeds']}", percent(r["cycles_added_share"], 2))
            for r in rows]


def attack_rows(transfer: dict[str, Any], epsilons: Sequence[int]) -> list[tuple[str, ...]]:
    """Cells for people: attack, then success on the victim at every epsilon."""
    return [(name, *(percent(at(by_epsilon, e)) for e in epsilons)) for name, by_epsilon in transfer["success"].items()]


COLUMNS = ("set", "encrypted bytes", "parameters", "substitute accuracy", "transfer success", "queries", "seeds",
           "cycles added")


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The same as a Markdown table."""
    return _markdown(COLUMNS, table_rows(rows))


def transfer_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Success on the victim as a Markdown table: a row a set, a column an attack and epsilon; "" if not measured."""
    shown = [r for r in rows if r["transfer"] is not None]
    if not shown:
        return ""
    kinds = [(attack, epsilon) for attack, found in shown[0]["transfer"].items() for epsilon in found]
    return _markdown(("set", *(f"{TITLES.get(attack, attack)}, {epsilon}/255" for attack, epsilon in kinds)),
                     [(r["set"], *(percent(r["transfer"][attack][epsilon], 0) for attack, epsilon in kinds))
                      for r in shown])


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in rows])
