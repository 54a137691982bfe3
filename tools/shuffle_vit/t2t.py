"""T2T-ViT (Yuan et al. 2021), vanilla and shuffled: a plain ViT behind a tokens-to-token embedding.

State dicts carry the names of yitu-opensource/T2T-ViT: `tokens_to_token.*` in place of `patch_embed.*`.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .model import Mlp, PlainViT

WIDTH = 64  # channels of a token inside `tokens_to_token`
FEATURES = 32  # random features of a performer: rows of `w`
EPS = 1e-5  # of the norms in here, whatever the blocks use


class Performer(nn.Module):
    """Linear attention by positive random features (Choromanski et al. 2021), one head; the rows of `kqv` are k, q, v.

    There is no skip connection around the attention but the one from `v`: the token changes its width here.
    """

    def __init__(self, width):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.kqv = nn.Linear(width, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=EPS)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        w = nn.init.orthogonal_(torch.empty(FEATURES, WIDTH)) * FEATURES**0.5
        self.w = nn.Parameter(w, requires_grad=False)

    def phi(self, u):
        return torch.exp(u @ self.w.T - u.square().sum(-1, keepdim=True) / 2) / FEATURES**0.5

    def forward(self, x):
        k, q, v = self.kqv(self.norm1(x)).split(WIDTH, dim=-1)
        k, q = self.phi(k), self.phi(q)
        total = q @ k.sum(1).unsqueeze(-1)
        y = q @ (k.transpose(1, 2) @ v) / (total + 1e-8)
        x = v + self.proj(y)
        return x + self.mlp(self.norm2(x))


class NarrowingAttention(nn.Module):
    """Softmax attention with one head that takes tokens of any width to `WIDTH`; its scale is that of the width given."""

    def __init__(self, width):
        super().__init__()
        self.scale = width**-0.5
        self.qkv = nn.Linear(width, 3 * WIDTH, bias=False)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = self.qkv(x).split(WIDTH, dim=-1)
        return v + self.proj((q @ k.transpose(1, 2) * self.scale).softmax(-1) @ v)


class TokenTransformer(nn.Module):
    """What T2T-ViT_t has in the performer's place."""

    def __init__(self, width):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn = NarrowingAttention(width)
        self.norm2 = nn.LayerNorm(WIDTH, eps=EPS)
        self.mlp = Mlp(WIDTH, WIDTH)

    def forward(self, x):
        x = self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TokensToToken(nn.Module):
    """Three overlapping unfolds with attention between them: a token for every 16 x 16 pixels."""

    LAYERS = {"t2t_performer": Performer, "t2t_transformer": TokenTransformer}

    def __init__(self, tokens, in_channels, width):
        super().__init__()
        self.attention1 = self.LAYERS[tokens](in_channels * 7 * 7)
        self.attention2 = self.LAYERS[tokens](WIDTH * 3 * 3)
        self.project = nn.Linear(WIDTH * 3 * 3, width)

    def forward(self, images):
        x = unfold(images, 7, 4, 2)
        for attention in (self.attention1, self.attention2):
            x = unfold(as_map(attention(x)), 3, 2, 1)
        return self.project(x)


def unfold(x, kernel, stride, padding):
    """`[B, C, S, S]` to row-major tokens `[B, N, C k k]`, features ordered channel, ky, kx."""
    return F.unfold(x, kernel, stride=stride, padding=padding).transpose(1, 2)


def as_map(x):
    """Row-major tokens `[B, N, C]` to a square map `[B, C, S, S]`."""
    side = int(x.shape[1] ** 0.5)
    return x.transpose(1, 2).unflatten(2, (side, side))


def sinusoid(tokens, width):
    """The fixed `pos_embed` `[1, tokens, width]`: sin and cos in turn of p / 10000^(2 floor(j/2) / width)."""
    position = torch.arange(tokens, dtype=torch.float64).unsqueeze(1)
    j = torch.arange(width)
    angle = position / 10000 ** (2 * (j // 2) / width)
    return torch.where(j % 2 == 0, angle.sin(), angle.cos()).float().unsqueeze(0)


class T2TViT(PlainViT):
    """T2T-ViT of any size, from a `config` whose `tokens` is `t2t_performer` or `t2t_transformer`."""

    TOKENS = tuple(TokensToToken.LAYERS)

    def add_embedding(self, width):
        self.tokens_to_token = TokensToToken(self.config["tokens"], self.config["in_channels"], width)

    def tokenise(self, images):
        return self.tokens_to_token(images)

    def initialise(self):
        super().initialise()
        self.pos_embed = nn.Parameter(sinusoid(*self.pos_embed.shape[1:]), requires_grad=False)
        for layer in self.modules():
            if isinstance(layer, Performer):
                # phi falls as exp(-|u|^2 / 2): with k and q of deviation 1 every weight would drown in the 1e-8
                with torch.no_grad():
                    layer.kqv.weight[: 2 * WIDTH] *= 0.25
