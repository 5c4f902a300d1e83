"""Small transformers as torch modules, in the spellings of the public model libraries."""

from collections.abc import Callable
from typing import ClassVar, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tests.helpers.torch_models import Classifier

WIDTH, HEADS = 12, 3


class FusedAttention(nn.Module):
    """Queries, keys and values of one layer, parted by a reshape (timm's ViT)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        n, steps, width = x.shape
        q, k, v = self.qkv(x).reshape(n, steps, 3, HEADS, -1).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v)
        return cast(Tensor, self.proj(x.transpose(1, 2).reshape(n, steps, width)))


class NormedAttention(nn.Module):
    """The same with its products written out and queries and keys normalised within each head."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH)
        self.query_norm, self.key_norm = nn.LayerNorm(WIDTH // HEADS), nn.LayerNorm(WIDTH // HEADS)

    def forward(self, x: Tensor) -> Tensor:
        n, steps, width = x.shape
        q, k, v = self.qkv(x).reshape(n, steps, 3, HEADS, -1).permute(2, 0, 3, 1, 4).unbind(0)
        q = self.query_norm(q) * (width // HEADS) ** -0.5
        scores = q @ self.key_norm(k).transpose(-2, -1)
        x = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(n, steps, width)
        return cast(Tensor, self.proj(x))


class ApartAttention(nn.Module):
    """Queries, keys and values of layers of their own (BERT)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.output = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), -1, HEADS, WIDTH // HEADS).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self._heads(layer(x)) for layer in (self.query, self.key, self.value))
        weights = torch.softmax(q @ k.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5, dim=-1)
        context = (weights @ v).permute(0, 2, 1, 3).contiguous()
        return cast(Tensor, self.output(context.view(*context.shape[:2], WIDTH)))


class SharedAttention(nn.Module):
    """Grouped queries: two heads share keys and values (Ainslie et al. 2023)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.output = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.key, self.value = nn.Linear(WIDTH, 6), nn.Linear(WIDTH, 6)

    def forward(self, x: Tensor) -> Tensor:
        n, steps, width = x.shape
        q = self.query(x).view(n, steps, 4, 3).transpose(1, 2)
        k, v = (f(x).view(n, steps, 2, 3).transpose(1, 2) for f in (self.key, self.value))
        k, v = (y[:, :, None].expand(n, 2, 2, steps, 3).reshape(n, 4, steps, 3) for y in (k, v))
        x = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, steps, width)
        return cast(Tensor, self.output(x))


class TorchAttention(nn.Module):
    """torch's own module, which puts the steps in front and merges samples and heads."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.inner(x, x, x, need_weights=False)[0])


class WindowAttention(nn.Module):
    """Shifted windows with a bias for each head (Swin) over 4 × 4 positions."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = FusedAttention()
        self.bias = nn.Parameter(torch.randn(1, HEADS, 4, 4))

    def forward(self, x: Tensor) -> Tensor:
        n, _, width = x.shape
        x = torch.roll(x.view(n, 4, 4, width), (-1, -1), (1, 2))
        x = x.view(n, 2, 2, 2, 2, width).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, width)
        x = self._attend(x).view(n, 2, 2, 2, 2, width).permute(0, 1, 3, 2, 4, 5)
        return torch.roll(x.reshape(n, 4, 4, width), (1, 1), (1, 2)).reshape(n, 16, width)

    def _attend(self, x: Tensor) -> Tensor:
        n, steps, _ = x.shape
        qkv = self.attention.qkv(x).reshape(n, steps, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        weights = (q @ k.transpose(-2, -1) + self.bias).softmax(dim=-1)
        return cast(Tensor, self.attention.proj((weights @ v).transpose(1, 2).reshape(x.shape)))


class Block(nn.Module):
    """Normalised attention and a perceptron, each added to what came in."""

    def __init__(self, attention: Callable[[], nn.Module], activation: nn.Module) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention, self.activation = attention(), activation
        self.inner, self.outer = nn.Linear(WIDTH, 10), nn.Linear(10, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.before(x))
        return x + cast(Tensor, self.outer(self.activation(self.inner(self.between(x)))))


class VisionTransformer(Classifier):
    """Patches, a class token, positions, blocks."""

    shape: ClassVar[tuple[int, ...]] = (3, 8, 8)
    attention: ClassVar[Callable[[], nn.Module]] = FusedAttention
    token: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4 if self.token else 2, 4 if self.token else 2)
        self.first = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.places = nn.Parameter(torch.randn(1, 5 if self.token else 16, WIDTH))
        self.block = Block(type(self).attention, nn.GELU())
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.token:
            x = torch.cat([self.first.expand(x.size(0), -1, -1), x], dim=1)
        x = self.norm(self.block(x + self.places))
        return cast(Tensor, self.head(x[:, 0] if self.token else x.mean(dim=1)))


class NormedTransformer(VisionTransformer):
    """With normalised queries and keys."""

    attention = NormedAttention


class SharedTransformer(VisionTransformer):
    """With shared keys and values."""

    attention = SharedAttention


class TorchTransformer(VisionTransformer):
    """With torch's own attention."""

    attention = TorchAttention


class WindowTransformer(VisionTransformer):
    """With attention in windows."""

    attention = WindowAttention
    token = False


class Bert(Classifier):
    """Tokens `(N, 7)` of a vocabulary of 20, post-normalised blocks, a pooled first token."""

    shape: ClassVar[tuple[int, ...]] = (7,)

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(20, WIDTH), nn.Embedding(7, WIDTH)
        self.attention, self.norms = (
            ApartAttention(),
            nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3)),
        )
        self.inner, self.outer = nn.Linear(WIDTH, 10), nn.Linear(10, WIDTH)
        self.pool, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.norms[0](self.words(tokens) + self.places(torch.arange(7)))
        x = self.norms[1](x + self.attention(x))
        x = self.norms[2](x + self.outer(F.gelu(self.inner(x))))
        return cast(Tensor, self.head(torch.tanh(self.pool(x[:, 0]))))


class Mixer(Classifier):
    """Perceptrons over tokens and over channels in turn (MLP-Mixer)."""

    shape: ClassVar[tuple[int, ...]] = (3, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.tokens = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 4))
        self.channels = nn.Sequential(nn.Linear(WIDTH, 10), nn.GELU(), nn.Linear(10, WIDTH))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norms[1](x))
        return cast(Tensor, self.head(self.norms[2](x).mean(dim=1)))
