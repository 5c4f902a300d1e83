"""What all draws of a run share: data, origins, test examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.paper.corpus import Corpus, Inputs, Rows, read_corpus
from benchmarks.paper.features import FeatureStore
from benchmarks.paper.originals import Original, OriginRequest, prepare_origins
from benchmarks.paper.origins import INPUTS
from benchmarks.paper.progress import Progress
from benchmarks.paper.setting import Setting
from benchmarks.paper.sizes import Size, ensemble_size
from benchmarks.paper.tasks import Classes, LabelOrder, Task, superclass_order


class SettingError(Exception):
    """A run that cannot be made: the task does not go with what was asked for."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What all draws of a run share.

    Attributes:
        setting: What was asked for.
        task: The task with the data set's class numbers.
        corpus: The data set.
        originals: The trained origins by place in the task.
        store: What runs graphs.
        progress: Told about every step.
    """

    setting: Setting
    task: Task
    corpus: Corpus
    originals: Mapping[int, Original]
    store: FeatureStore
    progress: Progress

    @classmethod
    def of(cls, setting: Setting, task: Task) -> Bench:
        """Reads the data and trains the origins.

        Args:
            setting: What is asked for.
            task: The task in the paper's class numbers.

        Raises:
            SettingError: The architecture or the order of labels does not go with the task.
            DataMissingError: The data set is not there.
        """
        if setting.arch not in task.architectures:
            known = " or ".join(task.architectures)
            raise SettingError(f"{task.name} is run with {known}, not with {setting.arch}")
        corpus = read_corpus(task.data, setting.data)
        if setting.label_order is LabelOrder.SUPERCLASS:
            if corpus.coarse is None:
                raise SettingError(f"{corpus.name} has no superclasses")
            task = task.renumbered(superclass_order(corpus.names, corpus.coarse))
        units = len(task.wanted) + (1 + len(setting.baselines)) * len(task.targets)
        progress = Progress(setting.draws * units + 1)
        request = OriginRequest(task, setting.arch, setting.width, setting.seed)
        originals = prepare_origins(request, corpus, setting.cache / "origins", progress.tell)
        progress.finish("origins are ready")
        store = FeatureStore(setting.cache / "features", setting.threads)
        return cls(setting, task, corpus, originals, store, progress)

    @property
    def input_name(self) -> str:
        """What the networks' input is called."""
        return INPUTS[self.setting.arch]

    def test(self, target: Classes) -> tuple[Mapping[str, Inputs], Rows]:
        """The test inputs of a target, and their labels as places in it."""
        rows = self.corpus.test.rows_of(target)
        inputs = {self.input_name: self.corpus.test.read(rows)}
        return inputs, self.corpus.test.places(rows, target)

    def ensemble_size(self, target: Classes) -> Size:
        """What the full originals of a target cost with their joint classifier."""
        sources = self.task.sources(target)
        used = [self.originals[place] for place in dict.fromkeys(one.origin for one in sources)]
        columns = sum(one.feature_width + len(one.recipe.classes) for one in used)
        return ensemble_size([one.size for one in used], columns, len(target))
