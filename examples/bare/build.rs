//! With the feature `model`: packs a checkpoint into a file that is compiled into the library, so that it lies in flash.
//!
//! The variable `BARE_CHECKPOINT` names the checkpoint; without it, it is the model that the program `shuffle-vit` carries.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "model")]
    if let Err(error) = model::write() {
        println!("cargo::error={error}");
    }
}

#[cfg(feature = "model")]
mod model {
    use std::error::Error;
    use std::path::{Path, PathBuf, absolute};
    use std::{env, fs};

    use vit::Config;
    use weights::{Loader, TensorFile};

    /// The trained model of the program: Fashion-MNIST, 28 x 28 pixels, 10 classes.
    const OWN: &str = "../../crates/cli/model/fashion_mnist.safetensors";

    /// Writes `packed.f32`, the weights as they will lie in flash, and `config.rs`, what they are the weights of.
    pub fn write() -> Result<(), Box<dyn Error>> {
        let path = checkpoint()?;
        let mut checkpoint = Loader::new().checkpoint(TensorFile::from_file(&path)?)?;
        let config = checkpoint.description().config;
        let mut packed = vec![0.0; vit::packed_len(&config)];
        vit::pack(&config, &mut checkpoint, &mut packed)?;
        let Family::Vit(vit) = *config.family() else { return Err("only plain models are written out here".into()) };

        let out = env::var("OUT_DIR")?;
        let big_endian = env::var("CARGO_CFG_TARGET_ENDIAN")? == "big";
        let bytes: Vec<u8> = packed
            .iter()
            .flat_map(|value| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() })
            .collect();
        fs::write(Path::new(&out).join("packed.f32"), bytes)?;
        // What `Debug` writes is the expression that makes the value.
        let names = "use vit::{VitConfig, Pool::*, Rescale::*, Tokens::*};";
        fs::write(Path::new(&out).join("config.rs"), format!("{{ {names} {vit:?} }}"))?;
        Ok(())
    }

    /// The checkpoint's path, made absolute so that an error shows where it was looked for. The build says which it is.
    fn checkpoint() -> Result<PathBuf, Box<dyn Error>> {
        println!("cargo::rerun-if-env-changed=BARE_CHECKPOINT");
        let named = env::var_os("BARE_CHECKPOINT");
        let path = absolute(named.as_ref().map_or(Path::new(OWN), Path::new))?;
        let advice = if named.is_some() { "" } else { " (BARE_CHECKPOINT names another)" };
        println!("cargo::warning=the model in flash is {}{advice}", path.display());
        println!("cargo::rerun-if-changed={}", path.display());
        Ok(path)
    }
}
