//! Tokens-to-token's two rounds: their sizes, their tensors, and the multiply-accumulates that these take part in.

use super::switches::Tokens;
use super::tensor::TensorName;
use super::windows::Windows;

/// Channels of tokens inside tokens-to-token.
pub(crate) const T2T_WIDTH: usize = 64;
/// Pixels that tokens-to-token's three strides, 4, 2 and 2, make one token of in either direction.
pub(crate) const T2T_PATCH: usize = 16;
/// The performer's random features.
pub(crate) const FEATURES: usize = 32;

/// The names of one round's tensors, weight and bias each.
pub(crate) struct Names {
    pub norm1: [&'static str; 2],
    pub qkv: [&'static str; 2],
    /// The performer's `w`.
    pub w: &'static str,
    pub proj: [&'static str; 2],
    pub norm2: [&'static str; 2],
    pub fc1: [&'static str; 2],
    pub fc2: [&'static str; 2],
}

macro_rules! layer {
    ($round:literal, $layer:literal) => {
        [
            concat!("tokens_to_token.", $round, ".", $layer, ".weight"),
            concat!("tokens_to_token.", $round, ".", $layer, ".bias"),
        ]
    };
}

macro_rules! names {
    ($round:literal, $qkv:literal, $proj:literal, $fc1:literal, $fc2:literal) => {
        Names {
            norm1: layer!($round, "norm1"),
            qkv: layer!($round, $qkv),
            w: concat!("tokens_to_token.", $round, ".w"),
            proj: layer!($round, $proj),
            norm2: layer!($round, "norm2"),
            fc1: layer!($round, $fc1),
            fc2: layer!($round, $fc2),
        }
    };
}

const PERFORMER: [Names; 2] =
    [names!("attention1", "kqv", "proj", "mlp.0", "mlp.2"), names!("attention2", "kqv", "proj", "mlp.0", "mlp.2")];
const TRANSFORMER: [Names; 2] = [
    names!("attention1", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"),
    names!("attention2", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"),
];

/// What the sizes of both rounds follow from.
#[derive(Clone, Copy)]
pub(crate) struct Rounds {
    /// The kind of attention: not [`Tokens::Patch`].
    pub tokens: Tokens,
    pub image_size: usize,
    pub in_channels: usize,
}

impl Rounds {
    /// Whether attention is the performer's.
    pub(crate) fn is_performer(&self) -> bool {
        self.tokens == Tokens::T2tPerformer
    }

    /// The rounds' windows, and those of the third unfolding, which the embedding projects.
    pub(crate) fn windows(&self) -> [Windows; 3] {
        let first = Windows { side: self.image_size, kernel: 7, stride: 4, padding: 2 };
        let then = |before: Windows| Windows { side: before.grid(), kernel: 3, stride: 2, padding: 1 };
        [first, then(first), then(then(first))]
    }

    /// The names of a round's tensors.
    pub(crate) fn names(&self, round: usize) -> &'static Names {
        if self.is_performer() { &PERFORMER[round] } else { &TRANSFORMER[round] }
    }

    /// Values of a round's windows: of the image, then of 64 channels.
    pub(crate) fn inputs(&self, round: usize) -> usize {
        self.windows()[round].values(if round == 0 { self.in_channels } else { T2T_WIDTH })
    }

    /// Calls `visit` with the tensors of both rounds.
    pub(super) fn visit_tensors(&self, visit: &mut dyn FnMut(TensorName, &[usize])) {
        for round in 0..2 {
            let (names, inputs, performer) = (self.names(round), self.inputs(round), self.is_performer());
            let mut layer = |[weight, bias]: [&'static str; 2], outputs: usize, inputs: usize, has_bias: bool| {
                visit(TensorName::Top(weight), &[outputs, inputs][..if inputs == 0 { 1 } else { 2 }]);
                if has_bias {
                    visit(TensorName::Top(bias), &[outputs]);
                }
            };
            layer(names.norm1, inputs, 0, true);
            layer(names.qkv, 3 * T2T_WIDTH, inputs, performer);
            layer(names.proj, T2T_WIDTH, T2T_WIDTH, true);
            layer(names.norm2, T2T_WIDTH, 0, true);
            layer(names.fc1, T2T_WIDTH, T2T_WIDTH, true);
            layer(names.fc2, T2T_WIDTH, T2T_WIDTH, true);
            if performer {
                visit(TensorName::Top(names.w), &[FEATURES, T2T_WIDTH]);
            }
        }
    }

    /// Multiply-accumulates of the products that a tensor of the rounds takes part in; attention's count with its first layer.
    pub(super) fn macs_of(&self, name: TensorName, shape: &[usize]) -> u64 {
        let TensorName::Top(name) = name else { return 0 };
        let Some(round) = (0..2).find(|&round| {
            let Names { qkv, proj, fc1, fc2, .. } = self.names(round);
            [qkv, proj, fc1, fc2].iter().any(|layer| layer[0] == name)
        }) else {
            return 0;
        };
        let tokens = (self.windows()[round].grid() as u64).pow(2);
        let attention = match (name == self.names(round).qkv[0], self.is_performer()) {
            (false, _) => 0,
            (true, true) => 4 * tokens * (FEATURES * T2T_WIDTH) as u64,
            (true, false) => 2 * tokens * tokens * T2T_WIDTH as u64,
        };
        shape.iter().map(|&x| x as u64).product::<u64>() * tokens + attention
    }
}
