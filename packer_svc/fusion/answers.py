"""What fragments say about the inputs of a proof: asked while the head is still being fitted."""

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from packer_svc.fusion.features import Fragment, FragmentFeatures
from packer_svc.fusion.probes import SAMPLES, Inputs, Probe, probes


@dataclass(frozen=True)
class Answers:
    """The inputs of a proof, and every fragment's answers, as soon as they are there.

    Attributes:
        seed: Of the random inputs.
        probes: Samples, random and extreme inputs.
        asked: For each of them one answer per fragment, in the fragments' order.
    """

    seed: int
    probes: Sequence[Probe]
    asked: Sequence[Sequence[Future[FragmentFeatures]]]

    def of(self, place: int) -> list[FragmentFeatures]:
        """What the fragments say about one of the probes; waits for it.

        Raises:
            GraphError: See `Fragment.run`.
            FusionError: See `Fragment.run`.
        """
        return [future.result() for future in self.asked[place]]


def ask(
    pool: Executor,
    fragments: Sequence[Fragment],
    inputs: Inputs,
    *,
    seed: int,
    known: Sequence[FragmentFeatures] | None = None,
) -> Answers:
    """Puts the inputs of a proof to all fragments.

    Args:
        pool: Runs them.
        fragments: The fragments.
        inputs: The samples of all classes, one array per input by name.
        seed: Of the random inputs.
        known: What the fragments say about the samples, if they have been asked before.
    """
    shown = list(probes(inputs, seed))
    asked = []
    for probe in shown:
        if probe.name == SAMPLES and known is not None:
            asked.append([_given(one) for one in known])
        else:
            asked.append([pool.submit(fragment.run, probe.inputs) for fragment in fragments])
    return Answers(seed, shown, asked)


def _given(known: FragmentFeatures) -> Future[FragmentFeatures]:
    future: Future[FragmentFeatures] = Future()
    future.set_result(known)
    return future
