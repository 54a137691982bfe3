//! The configuration's words for a model's switches.

use vit::{Pool, Rescale, Tokens};

pub(crate) const POOLS: [Pool; 3] = [Pool::Cls, Pool::Avg, Pool::ClsAvg];
pub(crate) const RESCALES: [Rescale; 3] = [Rescale::None, Rescale::Half, Rescale::Learned];
pub(crate) const TOKENS: [Tokens; 3] = [Tokens::Patch, Tokens::T2tPerformer, Tokens::T2tTransformer];

pub(crate) fn pool(pool: Pool) -> &'static str {
    match pool {
        Pool::Cls => "cls",
        Pool::Avg => "avg",
        Pool::ClsAvg => "cls_avg",
    }
}

pub(crate) fn rescale(rescale: Rescale) -> &'static str {
    match rescale {
        Rescale::None => "none",
        Rescale::Half => "half",
        Rescale::Learned => "learned",
    }
}

pub(crate) fn tokens(tokens: Tokens) -> &'static str {
    match tokens {
        Tokens::Patch => "patch",
        Tokens::T2tPerformer => "t2t_performer",
        Tokens::T2tTransformer => "t2t_transformer",
    }
}
