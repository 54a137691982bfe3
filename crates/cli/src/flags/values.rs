//! What the values of flags may be, and what is wrong with one that may not.

use vit::Level;
use weights::CropMode;

/// Most threads that `--threads` accepts: beyond any machine, and below what would exhaust one.
const MAX_THREADS: u32 = 1024;

/// Most images of a call of `bench`.
const MAX_BATCH: u32 = 1 << 16;

/// The type of the numbers computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtype {
    F32,
}

impl Dtype {
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
        }
    }
}

pub(crate) fn dtype(word: &str) -> Result<Dtype, String> {
    match word {
        "f32" => Ok(Dtype::F32),
        "bf16" | "int8" => Err(format!("this version does not compute in {word} yet; f32 works")),
        _ => Err("expected f32".into()),
    }
}

/// An empty word, as an unset variable of a script may give, is no choice.
pub(crate) fn level(word: &str) -> Result<Level, String> {
    match word {
        "auto" | "" => Ok(Level::detect()),
        _ => word.parse().map_err(|_| {
            let names: Vec<_> = Level::available().map(Level::name).collect();
            format!("not available on this CPU; --level or SHUFFLE_VIT_LEVEL may be auto, {}", names.join(", "))
        }),
    }
}

pub(crate) fn arch(name: &str) -> Result<String, String> {
    match weights::named(name) {
        Ok(_) => Ok(name.into()),
        Err(error) => Err(match built_in_like(name) {
            Some(built_in) => format!("no built-in model; nearest: {built_in}"),
            None => error.to_string(),
        }),
    }
}

pub(crate) fn setting(word: &str) -> Result<(String, String), String> {
    match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("expected KEY=VALUE, such as depth=6".into()),
    }
}

/// The built-in model that papers (`T2T-ViT-7`) or timm (`deit_tiny_patch16_224.fb_in1k`) call so.
fn built_in_like(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    let name = name.split('.').next()?;
    let name = name.split_once("_patch").map_or(name, |(model, _)| model);
    vit::Config::names().iter().copied().find(|built_in| *built_in == name)
}

pub(crate) fn crop_mode(word: &str) -> Result<CropMode, String> {
    CropMode::ALL.into_iter().find(|mode| mode.name() == word).ok_or_else(|| "expected center or squash".into())
}

pub(crate) fn finite(word: &str) -> Result<f64, String> {
    number(word, |x| x.is_finite(), "a number, such as 0.5; several are separated by commas")
}

pub(crate) fn above_zero(word: &str) -> Result<f64, String> {
    number(word, |x| x.is_finite() && x > 0.0, "a number above 0, such as 0.5; several are separated by commas")
}

fn number(word: &str, possible: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    word.trim().parse().ok().filter(|x| possible(*x)).ok_or_else(|| format!("expected {expected}"))
}

pub(crate) fn positive(word: &str) -> Result<u32, String> {
    whole_number(word, u32::MAX)
}

pub(crate) fn threads(word: &str) -> Result<usize, String> {
    whole_number(word, MAX_THREADS).map(|n| n as usize)
}

pub(crate) fn batch(word: &str) -> Result<usize, String> {
    whole_number(word, MAX_BATCH).map(|n| n as usize)
}

fn whole_number(word: &str, max: u32) -> Result<u32, String> {
    word.parse()
        .ok()
        .filter(|n| (1..=max).contains(n))
        .ok_or_else(|| format!("expected a whole number from 1 to {max}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_use_lead_to_ours() {
        for (name, built_in) in [
            ("T2T-ViT_t-14", "t2t_vit_t_14"),
            ("Swin-Tiny", "swin_tiny"),
            ("swin_tiny_patch9_window7_224", "swin_tiny"),
            ("swin_tniy", "swin_tiny"),
        ] {
            let error = arch(name).unwrap_err();
            assert!(error.contains(&format!("nearest: {built_in}")), "{error}");
        }
        for name in ["deit_tiny_distilled_patch16_224.fb_in1k", "timm:vit_small_patch32_224"] {
            assert_eq!(arch(name), Ok(name.into()), "timm's names are models too");
        }
        assert!(arch("resnet50").unwrap_err().contains("expected deit_tiny, "));
        assert_eq!(arch("deit_tiny"), Ok("deit_tiny".into()));
    }

    #[test]
    fn settings_are_split_at_the_first_sign() {
        assert_eq!(setting("name=a=b"), Ok(("name".into(), "a=b".into())));
        assert_eq!(setting("name="), Ok(("name".into(), String::new())));
        assert!(setting("depth").is_err() && setting("=6").is_err() && setting("").is_err());
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!((finite("-0.5"), above_zero(" 1e-3")), (Ok(-0.5), Ok(1e-3)));
        for word in ["0", "-1", "nan", "inf", "", "1,5"] {
            assert!(above_zero(word).is_err(), "{word}");
        }
        assert_eq!(threads("2"), Ok(2));
        for word in ["0", "-1", "1.5", "", "two", "4294967297", "1025"] {
            assert!(threads(word).is_err(), "{word}");
        }
    }
}
