//! Running a model on a number of threads: one is the calling thread without a pool, more are a pool.

use anyhow::{Result, anyhow};
use rayon::ThreadPool;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use vit::{Level, Model, Watch};
use weights::Aligned;

use crate::buffer;
use crate::flags::ComputeArgs;

/// The threads that a command computes on.
pub(crate) struct Threads {
    pool: Option<ThreadPool>,
}

impl Threads {
    pub fn new(count: usize) -> Result<Self> {
        let build = || rayon::ThreadPoolBuilder::new().num_threads(count).build();
        let pool = (count > 1).then(build).transpose();
        let pool = pool.map_err(|e| anyhow!("cannot start {count} threads: {e}; choose fewer with --threads"))?;
        Ok(Self { pool })
    }

    /// As many as asked for, or one on each core.
    pub fn from_args(args: &ComputeArgs) -> Result<Self> {
        Self::new(args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)))
    }

    pub fn count(&self) -> usize {
        self.pool.as_ref().map_or(1, ThreadPool::current_num_threads)
    }

    /// The sum of what `work` gives on each thread, all at once.
    pub fn on_each(&self, work: impl Fn() -> f64 + Sync) -> f64 {
        match &self.pool {
            None => work(),
            Some(pool) => pool.broadcast(|_| work()).into_iter().sum(),
        }
    }

    /// `work(index, item)` for each item, its results in order.
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(usize, T) -> R + Send + Sync) -> Vec<R> {
        match &self.pool {
            None => items.into_iter().enumerate().map(|(i, item)| work(i, item)).collect(),
            Some(pool) => pool.install(|| items.into_par_iter().enumerate().map(|(i, item)| work(i, item)).collect()),
        }
    }
}

/// A model with the threads, the instruction set and the scratch to run it.
pub(crate) struct Runner<'a> {
    model: Model<'a>,
    level: Level,
    threads: &'a Threads,
    scratch: Aligned,
}

impl<'a> Runner<'a> {
    pub fn new(model: Model<'a>, level: Level, threads: &'a Threads) -> Result<Self> {
        let len = match &threads.pool {
            None => model.scratch_len(level),
            Some(pool) => model.parallel_scratch_len(level, pool),
        };
        Ok(Self { model, level, threads, scratch: buffer::zeroed(len, "the model's scratch")? })
    }

    /// The logits of a batch.
    pub fn run(&mut self, images: &[f32], logits: &mut [f32]) -> Result<()> {
        match &self.threads.pool {
            None => self.model.run(self.level, images, logits, &mut self.scratch)?,
            Some(pool) => self.model.run_parallel(self.level, pool, images, logits, &mut self.scratch)?,
        }
        Ok(())
    }

    /// As [`Runner::run`], telling `watch` of each step.
    pub fn run_watched(&mut self, images: &[f32], logits: &mut [f32], watch: &Watch) -> Result<()> {
        match &self.threads.pool {
            None => self.model.run_watched(self.level, images, logits, &mut self.scratch, watch)?,
            Some(pool) => {
                self.model.run_parallel_watched(self.level, pool, images, logits, &mut self.scratch, watch)?;
            }
        }
        Ok(())
    }

    pub fn scratch_bytes(&self) -> usize {
        size_of_val(&*self.scratch)
    }
}
