//! Packs the program's own trained model into a file that is compiled into the firmware, and tells the linker about the
//! board's memory.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use vit::{Config, Family};
use weights::{Loader, TensorFile};

const CHECKPOINT: &str = "../../crates/cli/model/fashion_mnist.safetensors";
/// Not called `memory.x`: a file of that name in this folder would win over the one in `OUT_DIR`.
const MEMORY: &str = "mem/mps2-an386.x";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for input in ["build.rs", CHECKPOINT, MEMORY] {
        println!("cargo::rerun-if-changed={input}");
    }

    let mut checkpoint = Loader::new().checkpoint(TensorFile::from_file(CHECKPOINT)?)?;
    let config = checkpoint.description().config;
    let mut packed = vec![0.0; vit::packed_len(&config)];
    vit::pack(&config, &mut checkpoint, &mut packed)?;
    let bytes: Vec<u8> = packed.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(out.join("packed.f32"), bytes)?;
    let Family::Vit(vit) = *config.family() else { return Err("only plain models are written out here".into()) };
    let names = "use vit::{VitConfig, Pool::*, Rescale::*, Tokens::*};";
    fs::write(out.join("config.rs"), format!("{{ {names} {vit:?} }}"))?;

    fs::copy(MEMORY, out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg=-Tlink.x");
    Ok(())
}
