"""The paper's training losses as functions of tensors (Eq. 3, 4 and 8)."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional


def faithfulness(features: Tensor, original: Tensor, weights: Tensor) -> Tensor:
    """Eq. 3: weighted mean over samples of ‖M′(x) − M(x)‖².

    Args:
        features: M′(x), `(n, f)`.
        original: M(x), `(n, f)`.
        weights: Sample weights of sum one, `(n,)`.

    Returns:
        A scalar.
    """
    return weights @ (features - original).square().sum(dim=1)


def unit_norms(outputs: Tensor) -> Tensor:
    """(1/|X|) Σ_x Σ_j ‖x_j‖₂, x_j the j-th unit's output on sample x.

    Args:
        outputs: A layer's output by unit, `(n, u, positions)`.

    Returns:
        A scalar.
    """
    norms = outputs.square().sum(dim=2)
    # The root has no derivative at zero, where ReLU leaves many units.
    return norms.clamp_min(1e-24).sqrt().sum(dim=1).mean()


def pooling_loss(distance: Tensor, outputs: Tensor, alpha: float) -> Tensor:
    """Eq. 4: faithfulness plus α times the norms of the layer's units on class c's samples.

    Args:
        distance: ‖M′(x) − M(x)‖², a scalar (see `faithfulness`).
        outputs: The layer's output in M′ on class c's samples, by unit, `(n, u, positions)`.
        alpha: α.

    Returns:
        A scalar; small where few units carry what class c needs.
    """
    return distance + alpha * unit_norms(outputs)


def class_logit(scores: Tensor, classes: Sequence[int]) -> Tensor:
    """Log odds of class c, or of any of several, against the rest under the model's own softmax.

    The paper leaves the head h of Eq. 8 open. Here it is the model's classifier: its probability
    of c against the sum of all others.

    Args:
        scores: Class scores before the softmax, `(n, C)`.
        classes: The classes.

    Returns:
        `(n,)`: log Σ_c exp(s_c) − log Σ_{j≠c} exp(s_j); the former where there is no other class.
    """
    inside = scores[:, list(classes)].logsumexp(dim=1)
    others = [place for place in range(scores.shape[1]) if place not in classes]
    return inside - scores[:, others].logsumexp(dim=1) if others else inside


def class_cross_entropy(logits: Tensor, is_class: Tensor, weights: Tensor) -> Tensor:
    """ℓ_ce of Eq. 8: weighted cross-entropy of class c against the rest.

    Args:
        logits: Log odds of class c, `(n,)`.
        is_class: 1 for class c, 0 for the rest, `(n,)`.
        weights: Sample weights of sum one; class c weighs twice the sum of all others, `(n,)`.

    Returns:
        A scalar.
    """
    return functional.binary_cross_entropy_with_logits(
        logits, is_class, weight=weights, reduction="sum"
    )


def adaptation_loss(cross_entropy: Tensor, consistency: Tensor, gamma: float) -> Tensor:
    """Eq. 8: ℓ_ce(h∘M^{l∘f}(x), c or rest) + γ·‖M^{f̄}(x) − M(x)‖².

    Args:
        cross_entropy: ℓ_ce of the network with the repair, a scalar (see `class_cross_entropy`).
        consistency: ‖M^{f̄}(x) − M(x)‖² of the network in which the kept units run beside the
            unselected ones, a scalar (see `faithfulness`).
        gamma: γ.

    Returns:
        A scalar.
    """
    return cross_entropy + gamma * consistency
