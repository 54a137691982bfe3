//! The configuration's words for a model's switches.

use vit::{Pool, Rescale, Tokens};

pub(crate) const POOLS: [Pool; 3] = [Pool::Cls, Pool::Avg, Pool::ClsAvg];
pub(crate) const RESCALES: [Rescale; 3] = [Rescale::None, Rescale::Half, Rescale::Learned];
pub(crate) const TOKENS: [Tokens; 3] = [Tokens::Patch, Tokens::T2tPerformer, Tokens::T2tTransformer];
