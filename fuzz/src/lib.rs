//! What the fuzz targets do with their bytes: each `run` panics if a promise of the crates is broken.
//!
//! The targets in `fuzz_targets` hand libFuzzer's inputs to these functions; the tests here hand them the committed seeds,
//! so that every toolchain replays them.

pub mod bytes;
pub mod checkpoint;
pub mod image;
mod model;
pub mod view;

#[cfg(test)]
mod tests {
    /// Runs a target on each of its seeds, of a folder here.
    fn replay(target: &str, run: fn(&[u8])) {
        let folder = format!("{}/{target}", env!("CARGO_MANIFEST_DIR"));
        let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for seed in seeds.into_iter().filter(|seed| seed.is_file()) {
            println!("{}", seed.display());
            run(&std::fs::read(seed).unwrap());
        }
    }

    #[test]
    fn image_seeds() {
        replay("../crates/image/tests/data", super::image::run);
        replay("../crates/image/tests/data/kinds", super::image::run);
    }

    #[test]
    fn safetensors_seeds() {
        replay("seeds/safetensors", super::bytes::run);
    }

    #[test]
    fn checkpoint_seeds() {
        replay("seeds/checkpoint", super::checkpoint::run);
    }

    #[test]
    fn shuffle_view_seeds() {
        replay("seeds/shuffle_view", super::view::run);
    }
}
