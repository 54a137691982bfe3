//! A built-in model with keys of its description set anew.

use crate::config::Said;
use crate::json::for_each_entry;
use crate::text::{alternatives, nearest, printable};
use crate::{Description, Error, Problem, ProblemKind, Report, arch, config};

/// The description of the built-in model `name` with some keys set anew.
///
/// A setting is a key and its value: JSON, or a string where JSON cannot read it. What depends on a value and is not set
/// itself follows, as `resize` follows `image_size`. The description's name tells the settings.
///
/// ```
/// let description = weights::named_with("deit_tiny", &[("image_size", "96"), ("rescale", "half")])?;
/// assert_eq!(description.name.as_deref(), Some("deit_tiny(image_size=96, rescale=half)"));
/// assert_eq!((description.config.image_size(), description.preparation.resize), (96, 106));
///
/// let error = weights::named_with("deit_tiny", &[("dpeth", "6")]).unwrap_err().to_string();
/// assert!(error.contains("nearest: `depth`"), "{error}");
/// # Ok::<(), weights::Error>(())
/// ```
pub fn named_with(name: &str, settings: &[(&str, &str)]) -> Result<Description, Error> {
    let model = arch::look_up(name)?;
    let mut base = model.said.clone().describe(model.config);
    let called = called(name, settings);
    base.name = Some(called.clone());
    let base = base.to_json();
    let keys = config::settable_keys(&base);
    let advice = format!("keys of {name}: {}", alternatives(keys.iter().copied()));
    let mut report = Report::new(&called).advising(advice);
    let (known, unknown): (Vec<_>, Vec<_>) = settings.iter().partition(|(key, _)| keys.contains(key));
    unknown.iter().for_each(|(key, value)| report.push(unknown_key(name, key, value, &keys)));
    let entry = config::read(&replaced(&base, &known), &mut report);
    report.into_result()?;
    let (config, said, _) = entry.finish();
    // What the name says about images stands, as far as the channels are still as many.
    let named = Said { name: None, ..model.said };
    Ok(said.or(named.for_channels(config.in_channels())).describe(config))
}

/// `deit_tiny(depth=6, dim=96)`.
fn called(name: &str, settings: &[(&str, &str)]) -> String {
    let settings: Vec<String> = settings.iter().map(|(key, value)| printable(&format!("{key}={value}"))).collect();
    if settings.is_empty() { name.into() } else { format!("{name}({})", settings.join(", ")) }
}

fn unknown_key(name: &str, key: &str, value: &str, keys: &[&str]) -> Problem {
    let expected =
        if key == "arch" { format!("the family of {name}, another name has another") } else { "a known key".into() };
    Problem::new(ProblemKind::Config, key, expected, printable(value)).near(nearest(key, keys.iter().copied()))
}

/// The description's JSON with the settings in place of what it said.
fn replaced(base: &str, settings: &[(&str, &str)]) -> String {
    let mut entries = Vec::new();
    // What a built-in model says can be read.
    let _ = for_each_entry(base, &mut |key, value| {
        if !config::follows(&key) && settings.iter().all(|(set, _)| *set != key) {
            entries.push(entry(&key, value.get()));
        }
    });
    entries.extend(settings.iter().map(|(key, value)| entry(key, config::json_or_string(value).get())));
    format!("{{{}}}", entries.join(","))
}

fn entry(key: &str, json: &str) -> String {
    format!("{}:{json}", serde_json::Value::from(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vit::{Config, Family, Rescale};

    fn problem(name: &str, settings: &[(&str, &str)]) -> String {
        named_with(name, settings).unwrap_err().to_string()
    }

    #[test]
    fn without_settings_every_built_in_model_is_itself() {
        for name in Config::names() {
            let description = named_with(name, &[]).unwrap();
            let expected = Description { name: Some((*name).into()), ..Description::new(crate::named(name).unwrap()) };
            assert_eq!(description, expected);
        }
    }

    #[test]
    fn values_are_json_or_else_strings() {
        let settings =
            [("dim", "96"), ("heads", "2"), ("shuffle", "true"), ("rescale", "learned"), ("tokens", "\"patch\"")];
        let Family::Vit(config) = *named_with("deit_tiny", &settings).unwrap().config.family() else { panic!() };
        assert_eq!((config.dim, config.heads, config.shuffle, config.rescale), (96, 2, true, Rescale::Learned));
        let swin = named_with("swin_tiny", &[("depths", "[1, 1]"), ("heads", "[3,6]"), ("image_size", "56")]).unwrap();
        assert_eq!(swin.name.as_deref(), Some("swin_tiny(depths=[1, 1], heads=[3,6], image_size=56)"));
        assert_eq!(swin.config.intermediate_outputs(), 2);
    }

    #[test]
    fn what_follows_from_a_setting_follows() {
        let description =
            named_with("deit_tiny", &[("in_channels", "1"), ("image_size", "32"), ("name", "mine")]).unwrap();
        assert_eq!((description.preparation.resize, description.preparation.mean.len()), (35, 1));
        assert_eq!(description.name.as_deref(), Some("mine"));
        assert_eq!(named_with("deit_tiny", &[("resize", "256")]).unwrap().preparation.resize, 256);
    }

    #[test]
    fn what_is_wrong_is_told_with_the_keys_that_exist() {
        let error = problem("deit_tiny", &[("dpeth", "6"), ("dim", "wide"), ("heads", "0")]);
        for words in [
            "deit_tiny(dpeth=6, dim=wide, heads=0): 3 problems",
            "`dpeth` is wrongly set: expected a known key, found 6; nearest: `depth`",
            "`dim` is wrongly set: expected a whole number from 1 to 1048576, found \"wide\"",
            "`heads` is wrongly set: expected a whole number",
            "keys of deit_tiny: image_size, patch_size, ",
        ] {
            assert!(error.contains(words), "{error} lacks {words}");
        }
        assert!(problem("deit_tiny", &[("heads", "5")]).contains("expected a divisor of dim 192, found 5"));
        assert!(problem("swin_tiny", &[("image_size", "228")]).contains("expected a size of which"));
        assert!(problem("deit_tiny", &[("depth", "6"), ("depth", "7")]).contains("a key that occurs once, found 7"));
        assert!(problem("deit_tiny", &[("arch", "swin")]).contains("expected the family of deit_tiny"));
        assert!(problem("swin_tiny", &[("depth", "6")]).contains("nearest: `depths`"));
        assert!(problem("deit_tny", &[("depth", "6")]).contains("nearest: deit_tiny"));
    }

    #[test]
    fn settings_cannot_smuggle_entries_in() {
        let error = problem("deit_tiny", &[("name", "1,\"depth\":3"), ("dim\":1,\"x", "1"), ("depth", "{\"a\": [")]);
        assert!(error.contains("2 problems") && error.contains("found \"{\\\"a\\\": [\""), "{error}");
    }
}
