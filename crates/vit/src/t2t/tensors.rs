//! The rounds' tensors: names, shapes, and the multiply-accumulates they take part in.

use super::{FEATURES, windows};
use crate::config::{T2T_WIDTH, TensorName, Tokens, VitConfig};

/// The names of one round's tensors, weight and bias each.
pub(super) struct Names {
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

/// The names of a round's tensors.
pub(super) fn names(tokens: Tokens, round: usize) -> &'static Names {
    if tokens == Tokens::T2tPerformer { &PERFORMER[round] } else { &TRANSFORMER[round] }
}

/// Values that a round's attention and MLP read: windows of the image, then of 64 channels.
pub(super) fn inputs(config: &VitConfig, round: usize) -> usize {
    let channels = if round == 0 { config.in_channels } else { T2T_WIDTH };
    windows(config.image_size)[round].values(channels)
}

/// Calls `visit` with the tensors of both rounds.
pub(crate) fn visit_tensors(config: &VitConfig, visit: &mut dyn FnMut(TensorName, &[usize])) {
    for round in 0..2 {
        let (names, inputs) = (names(config.tokens, round), inputs(config, round));
        let performer = config.tokens == Tokens::T2tPerformer;
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
pub(crate) fn macs_of(config: &VitConfig, name: TensorName, shape: &[usize]) -> u64 {
    let TensorName::Top(name) = name else { return 0 };
    let Some(round) = (0..2).find(|&round| {
        let Names { qkv, proj, fc1, fc2, .. } = names(config.tokens, round);
        [qkv, proj, fc1, fc2].iter().any(|layer| layer[0] == name)
    }) else {
        return 0;
    };
    let tokens = (windows(config.image_size)[round].grid() as u64).pow(2);
    let attention = match (name == names(config.tokens, round).qkv[0], config.tokens) {
        (false, _) => 0,
        (true, Tokens::T2tPerformer) => 4 * tokens * (FEATURES * T2T_WIDTH) as u64,
        (true, _) => 2 * tokens * tokens * T2T_WIDTH as u64,
    };
    shape.iter().map(|&x| x as u64).product::<u64>() * tokens + attention
}
