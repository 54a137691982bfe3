//! DeiT in [candle](https://docs.rs/candle-core), written as candle's own vision transformers are.

use anyhow::{Result, ensure};
use candle_core::{D, DType, Device, IndexOp, Module, Result as CandleResult, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, LayerNorm, Linear, VarBuilder, conv2d, layer_norm, linear, ops};

use crate::{Engine, file};

const DEPTH: usize = 12;
const EPS: f64 = 1e-6;
const CLASSES: usize = 1000;
const TOKENS: usize = 197;

pub(crate) fn load(model: &str) -> Result<Box<dyn Engine>> {
    ensure!(std::env::var("RAYON_NUM_THREADS").is_ok_and(|n| n == "1"), "candle needs RAYON_NUM_THREADS=1");
    let (base, shuffle) = model.strip_prefix("shuffle_").map_or((model, false), |base| (base, true));
    let (dim, heads) = match base {
        "deit_tiny" => (192, 3),
        "deit_small" => (384, 6),
        _ => anyhow::bail!("{model} is not written in candle here"),
    };
    let data = std::fs::read(file(model, "safetensors")?)?;
    let vb = VarBuilder::from_buffered_safetensors(data, DType::F32, &Device::Cpu)?;
    Ok(Box::new(Deit::new(dim, heads, shuffle, vb)?))
}

struct Attention {
    qkv: Linear,
    proj: Linear,
    heads: usize,
}

impl Attention {
    fn new(dim: usize, heads: usize, vb: VarBuilder) -> CandleResult<Self> {
        Ok(Self { qkv: linear(dim, 3 * dim, vb.pp("qkv"))?, proj: linear(dim, dim, vb.pp("proj"))?, heads })
    }
}

impl Module for Attention {
    fn forward(&self, xs: &Tensor) -> CandleResult<Tensor> {
        let (b, n, c) = xs.dims3()?;
        let head_dim = c / self.heads;
        let qkv = self.qkv.forward(xs)?.reshape((b, n, 3, self.heads, head_dim))?.permute((2, 0, 3, 1, 4))?;
        let q = (qkv.i(0)?.contiguous()? * (head_dim as f64).powf(-0.5))?;
        let k = qkv.i(1)?.contiguous()?;
        let v = qkv.i(2)?.contiguous()?;
        let scores = ops::softmax_last_dim(&q.matmul(&k.t()?)?)?;
        self.proj.forward(&scores.matmul(&v)?.transpose(1, 2)?.reshape((b, n, c))?)
    }
}

struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    fn new(dim: usize, vb: VarBuilder) -> CandleResult<Self> {
        Ok(Self { fc1: linear(dim, 4 * dim, vb.pp("fc1"))?, fc2: linear(4 * dim, dim, vb.pp("fc2"))? })
    }
}

impl Module for Mlp {
    fn forward(&self, xs: &Tensor) -> CandleResult<Tensor> {
        self.fc2.forward(&self.fc1.forward(xs)?.gelu_erf()?)
    }
}

struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    /// The module's learned factors.
    rescale: Option<[Tensor; 2]>,
}

impl Block {
    fn new(dim: usize, heads: usize, shuffle: bool, vb: VarBuilder) -> CandleResult<Self> {
        Ok(Self {
            norm1: layer_norm(dim, EPS, vb.pp("norm1"))?,
            attn: Attention::new(dim, heads, vb.pp("attn"))?,
            norm2: layer_norm(dim, EPS, vb.pp("norm2"))?,
            mlp: Mlp::new(dim, vb.pp("mlp"))?,
            rescale: if shuffle { Some([vb.get(1, "alpha")?, vb.get(1, "beta")?]) } else { None },
        })
    }

    fn layer(&self, xs: &Tensor) -> CandleResult<Tensor> {
        let rescaled = |xs: &Tensor, i: usize| match &self.rescale {
            Some(factors) => xs.broadcast_mul(&factors[i]),
            None => Ok(xs.clone()),
        };
        let xs = (rescaled(xs, 0)? + self.attn.forward(&self.norm1.forward(xs)?)?)?;
        rescaled(&xs, 1)? + self.mlp.forward(&self.norm2.forward(&xs)?)?
    }
}

impl Module for Block {
    fn forward(&self, xs: &Tensor) -> CandleResult<Tensor> {
        if self.rescale.is_none() {
            return self.layer(xs);
        }
        let halves = xs.chunk(2, D::Minus1)?;
        let attended = self.layer(&halves[0].contiguous()?)?;
        Tensor::stack(&[&attended, &halves[1].contiguous()?], 3)?.flatten_from(2)
    }
}

struct Deit {
    proj: Conv2d,
    cls_token: Tensor,
    pos_embed: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
}

impl Deit {
    fn new(dim: usize, heads: usize, shuffle: bool, vb: VarBuilder) -> CandleResult<Self> {
        let width = if shuffle { 2 * dim } else { dim };
        let patches = Conv2dConfig { stride: 16, ..Default::default() };
        Ok(Self {
            proj: conv2d(3, width, 16, patches, vb.pp("patch_embed.proj"))?,
            cls_token: vb.get((1, 1, width), "cls_token")?,
            pos_embed: vb.get((1, TOKENS, width), "pos_embed")?,
            blocks: (0..DEPTH)
                .map(|i| Block::new(dim, heads, shuffle, vb.pp("blocks").pp(i)))
                .collect::<CandleResult<_>>()?,
            norm: layer_norm(width, EPS, vb.pp("norm"))?,
            head: linear(width, CLASSES, vb.pp("head"))?,
        })
    }
}

impl Module for Deit {
    fn forward(&self, xs: &Tensor) -> CandleResult<Tensor> {
        let patches = self.proj.forward(xs)?.flatten_from(2)?.transpose(1, 2)?;
        let mut xs = (Tensor::cat(&[&self.cls_token, &patches], 1)? + &self.pos_embed)?;
        for block in &self.blocks {
            xs = block.forward(&xs)?;
        }
        self.head.forward(&self.norm.forward(&xs)?.i((.., 0))?)
    }
}

impl Engine for Deit {
    fn run(&mut self, image: &[f32]) -> Result<Vec<f32>> {
        let image = Tensor::from_slice(image, (1, 3, 224, 224), &Device::Cpu)?;
        Ok(self.forward(&image)?.flatten_all()?.to_vec1()?)
    }
}
