"""The runs of an ablation, checked against what is there before anything is trained."""

import dataclasses
from pathlib import Path
from typing import Any

from experiments.ablation.variants import BASE, describe, make_variant
from keras_efgsm.networks.dtype_policies import AUTOMATIC
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records import read_json
from keras_efgsm.runs.folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Planned:
    """A run of the ablation.

    Args:
        variant: name of the piece that is changed, or `BASE`.
        changes: what it changes, for people.
        config: how it is trained.
        folder: its run folder.
    """

    variant: str
    changes: str
    config: TrainingConfig
    folder: RunFolder

    @property
    def name(self) -> str:
        """As its result is called."""
        return f"{self.variant}-seed{self.config.seed}"


def plan(base: TrainingConfig, variants: list[str], seeds: list[int], runs: Path) -> list[Planned]:
    """All runs, base first, before anything is trained.

    Raises:
        ValueError: if a variant cannot be trained or a folder holds another run.
    """
    planned = []
    for seed in seeds:
        for name in dict.fromkeys([BASE, *variants]):
            seeded = dataclasses.replace(base, seed=seed)
            config = make_variant(name, seeded)
            folder = RunFolder(runs / f"{name}-seed{seed}")
            if folder.config.exists() and not _is_same(folder.read_config(), config):
                raise ValueError(
                    "The run folder holds a run of another configuration; give other --runs, or "
                    f"remove it. Received: folder={str(folder.path)!r}"
                )
            planned.append(Planned(name, describe(config, seeded), config, folder))
    return planned


def _is_same(stored: TrainingConfig, config: TrainingConfig) -> bool:
    # A policy that was to be measured stands in the run as what it came to.
    policy = stored.dtype_policy if config.dtype_policy == AUTOMATIC else config.dtype_policy
    return stored == dataclasses.replace(config, data_dir=stored.data_dir, dtype_policy=policy)


def read_results(path: Path, key: dict[str, Any], planned: list[Planned]) -> dict[str, Any]:
    """What an earlier call measured.

    Raises:
        ValueError: if it measured something else.
    """
    if not path.exists():
        return {}
    stored = read_json(path)
    differing = [
        one.name
        for one in planned
        if one.name in stored["runs"]
        and not _is_same(TrainingConfig.from_dict(stored["runs"][one.name]["config"]), one.config)
    ]
    if stored["attack"] != key or differing:
        raise ValueError(
            "The folder holds an ablation with other attacks or of another configuration; give "
            f"another --out. Received: out={str(path.parent)!r}, attack there={stored['attack']}, "
            f"runs that differ={differing}"
        )
    return stored["runs"]
