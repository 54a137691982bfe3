//! Running a model on a number of threads: one is the calling thread without a pool, more are a pool.

use anyhow::{Result, anyhow};
use rayon::ThreadPool;
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use vit::{Level, Model, Profiler, Rayon, RunOptions};
use weights::Aligned;

use crate::buffer;
use crate::flags::ComputeArgs;

/// The threads that a command computes on.
pub(crate) struct Threads {
    pool: Option<ThreadPool>,
    /// The pool that it is called in.
    executor: Rayon,
}

impl Threads {
    pub fn new(count: usize) -> Result<Self> {
        let build = || rayon::ThreadPoolBuilder::new().num_threads(count).build();
        let pool = (count > 1).then(build).transpose();
        let pool = pool.map_err(|e| anyhow!("cannot start {count} threads: {e}; choose fewer with --threads"))?;
        Ok(Self { pool, executor: Rayon::current() })
    }

    /// As many as asked for, or one on each core.
    pub fn from_args(args: &ComputeArgs) -> Result<Self> {
        Self::new(args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)))
    }

    pub fn count(&self) -> usize {
        self.pool.as_ref().map_or(1, ThreadPool::current_num_threads)
    }

    /// Calls `work` on one of the pool's threads, so that what it shares out goes to the others.
    fn within<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            None => work(),
            Some(pool) => pool.install(work),
        }
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
            Some(_) => threads.within(|| model.scratch_len_on(level, &threads.executor)),
        };
        Ok(Self { model, level, threads, scratch: buffer::zeroed(len, "the model's scratch")? })
    }

    /// The logits of a batch.
    pub fn run(&mut self, images: &[f32], logits: &mut [f32]) -> Result<()> {
        self.run_with(None, images, logits)
    }

    /// As [`Runner::run`], reporting each step to a profiler.
    pub fn run_profiled(&mut self, images: &[f32], logits: &mut [f32], profiler: &Profiler) -> Result<()> {
        self.run_with(Some(profiler), images, logits)
    }

    fn run_with(&mut self, profiler: Option<&Profiler>, images: &[f32], logits: &mut [f32]) -> Result<()> {
        let Self { model, level, threads, scratch } = self;
        threads.within(|| {
            let mut options = RunOptions::new(*level);
            if threads.pool.is_some() {
                options = options.executor(&threads.executor);
            }
            if let Some(profiler) = profiler {
                options = options.profiler(profiler);
            }
            model.run(options, images, logits, scratch)
        })?;
        Ok(())
    }

    pub fn scratch_bytes(&self) -> usize {
        size_of_val(&*self.scratch)
    }
}
