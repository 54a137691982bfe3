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
    use std::env;
    use std::error::Error;
    use std::path::{Path, PathBuf, absolute};

    use vit::{Config, Family, Tokens};

    /// The trained model of the program: Fashion-MNIST, 28 x 28 pixels, 10 classes.
    const OWN: &str = "../../crates/cli/model/fashion_mnist.safetensors";

    /// Writes `model.packed`, the file as it will lie in flash.
    pub fn write() -> Result<(), Box<dyn Error>> {
        let loaded = weights::load(checkpoint()?)?;
        check_family(&loaded.description().config)?;
        weights::save_packed(Path::new(&env::var("OUT_DIR")?).join("model.packed"), &loaded)?;
        Ok(())
    }

    /// Whether the library is built with the code for this family of models.
    fn check_family(config: &Config) -> Result<(), Box<dyn Error>> {
        let (feature, variable) = match config.family() {
            Family::Swin(_) => ("swin", "CARGO_FEATURE_SWIN"),
            Family::Vit(vit) if vit.tokens != Tokens::Patch => ("t2t", "CARGO_FEATURE_T2T"),
            _ => return Ok(()),
        };
        match env::var_os(variable) {
            Some(_) => Ok(()),
            None => Err(format!("the checkpoint's family is not built in: add --features {feature}").into()),
        }
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
