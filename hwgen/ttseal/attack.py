"""One attack on one set: what ``hwgen attack`` does."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwgen.pipeline.fingerprint import hash_json
from hwgen.ttseal.measure import Watcher
from hwgen.ttseal.select import SealJob, make_bench, transfer_of
from hwgen.ttseal.target import chosen_nodes
from hwgen.ttseal.transfer import require_library
from hwgen.ttseal.units import share_of


def attack(job: SealJob, choice: str, watcher: Watcher) -> dict[str, Any]:
    """Train the substitute for a choice of hidden nodes (see ``chosen_nodes``) and measure it.

    Raises:
        HwgenError: unknown names, a folder of other settings; ToolMissingError: ART is missing.
        KeyboardInterrupt: Ctrl-C, after the training was saved.
    """
    if job.settings.transfer is not None:
        require_library()
    bench = make_bench(job, watcher)
    with bench.folder.lock():
        nodes = chosen_nodes(choice, job.target.graph, bench.units, job.target.checkpoint)
        measured = bench.measure(nodes, job.settings.seed, "attack")
        test = job.splits.test
        result = {
            "model": job.target.name, "origin": job.target.origin, "settings": job.settings.to_dict(),
            "encrypted": list(measured.encrypted), "units": len(bench.units),
            "encrypted_share": share_of(bench.units, nodes), "queries": measured.queries,
            "test_images": len(test), "victim_accuracy": float(np.mean(bench.answers() == test.labels)),
            "substitute_accuracy": measured.accuracy_test, "agreement": measured.agreement_test,
            "transfer": transfer_of(job, bench, "attack", nodes, job.settings.seed)}
        bench.folder.write(f"attack-{hash_json(sorted(nodes))[:16]}.json", result)
        return result
