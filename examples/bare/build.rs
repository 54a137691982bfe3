//! With the feature `model`: packs a checkpoint into an array that is compiled into the library and so lies in flash.
//!
//! The variable `BARE_CHECKPOINT` names another checkpoint than the small one that the tests compare with PyTorch.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "model")]
    model::write()?;
    Ok(())
}

#[cfg(feature = "model")]
mod model {
    use std::error::Error;
    use std::path::Path;
    use std::{env, fs};

    use vit::Config;
    use weights::{Loader, TensorFile};

    const SMALLEST: &str = "../../crates/weights/tests/goldens/smallest.safetensors";

    /// Writes `packed.f32`, the weights as they will lie in flash, and `config.rs`, what they are the weights of.
    pub fn write() -> Result<(), Box<dyn Error>> {
        println!("cargo::rerun-if-env-changed=BARE_CHECKPOINT");
        let path = env::var("BARE_CHECKPOINT").unwrap_or_else(|_| SMALLEST.into());
        println!("cargo::rerun-if-changed={path}");
        let mut checkpoint = Loader::new().checkpoint(TensorFile::from_file(&path)?)?;
        let config = checkpoint.description().config;
        let mut packed = vec![0.0; vit::packed_len(&config)?];
        vit::pack(&config, &mut checkpoint, &mut packed)?;

        let out = env::var("OUT_DIR")?;
        let bytes: Vec<u8> = packed.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(Path::new(&out).join("packed.f32"), bytes)?;
        let Config::Vit(vit) = config else { return Err("only plain models are written out here".into()) };
        // What `Debug` writes is the expression that makes the value.
        let names = "use vit::{VitConfig, Pool::*, Rescale::*, Tokens::*};";
        fs::write(Path::new(&out).join("config.rs"), format!("{{ {names} {vit:?} }}"))?;
        Ok(())
    }
}
