//! Packs the program's own trained model into a file that is compiled into the firmware, and tells the linker about the
//! board's memory.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const CHECKPOINT: &str = "../../crates/cli/model/fashion_mnist.safetensors";
/// Not called `memory.x`: a file of that name in this folder would win over the one in `OUT_DIR`.
const MEMORY: &str = "mem/mps2-an386.x";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for input in ["build.rs", CHECKPOINT, MEMORY] {
        println!("cargo::rerun-if-changed={input}");
    }

    weights::save_packed(out.join("model.packed"), &weights::load(CHECKPOINT)?)?;
    fs::copy(MEMORY, out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg=-Tlink.x");
    Ok(())
}
