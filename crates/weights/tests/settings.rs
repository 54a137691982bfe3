//! What a loader sets about images and classes: over what a file says, and where it says nothing.

mod common;

use common::{checkpoint, good, packed, small};
use vit::Config;
use weights::{Error, Interpolation, LoadedModel, Loader};

/// A file that says nothing about images.
fn silent() -> Vec<u8> {
    let mut builder = checkpoint(small());
    builder.edit_config(r#","resize":8,"interpolation":"bicubic","mean":[0.5],"std":[0.5]"#, "");
    builder.bytes()
}

fn set<'a>(bytes: &'a [u8], settings: &[(&str, &str)]) -> Result<LoadedModel<'a>, Error> {
    settings.iter().fold(Loader::new(), |loader, (key, value)| loader.set(key, value)).from_bytes(bytes)
}

#[test]
fn what_nobody_says_is_assumed_and_told() {
    let bytes = silent();
    let loaded = set(&bytes, &[]).unwrap();
    let [line] = loaded.assumed() else { panic!("{:?}", loaded.assumed()) };
    assert_eq!(
        line,
        "how images are prepared is not said in full; assumed mean [0.5], std [0.5], crop_pct 0.9 (resize 8), interpolation bicubic"
    );
    let loaded = set(&bytes, &[("mean", "[0.25]"), ("crop_pct", "0.5")]).unwrap();
    assert_eq!(
        loaded.assumed(),
        ["how images are prepared is not said in full; assumed std [0.5], interpolation bicubic"]
    );
    assert_eq!((loaded.description().preparation.resize, loaded.warnings()), (16, &[][..]));
    assert_eq!(set(&good().bytes(), &[]).unwrap().assumed(), [""; 0]);
}

#[test]
fn settings_win_over_the_file_with_a_warning() {
    let settings = [
        ("mean", "[0.25]"),
        ("std", "[2]"),
        ("crop_pct", "0.5"),
        ("interpolation", "nearest"),
        ("labels", r#"["a", null, "c"]"#),
        ("name", "mine"),
    ];
    for bytes in [good().bytes(), packed(Config::new(small()).unwrap())] {
        let loaded = set(&bytes, &settings).unwrap();
        let description = loaded.description();
        let preparation = &description.preparation;
        assert_eq!((&preparation.mean[..], &preparation.std[..], preparation.resize), (&[0.25][..], &[2.0][..], 16));
        assert_eq!(preparation.interpolation, Interpolation::Nearest);
        assert_eq!((description.label(2), description.name.as_deref()), (Some("c"), Some("mine")));
        let keys = ["crop_pct", "interpolation", "mean", "std"];
        assert_eq!(loaded.warnings(), keys.map(|key| format!("{key} is set, and wins over what the file says")));
    }
    // The file's own values are no news, and the last of two settings counts.
    let bytes = good().bytes();
    let same = set(&bytes, &[("mean", "[7]"), ("mean", "[0.5]"), ("interpolation", "\"bicubic\"")]).unwrap();
    assert_eq!(same.warnings(), [""; 0]);
}

#[test]
fn wrong_settings_are_told_together() {
    let settings =
        [("maen", "[0.5]"), ("std", "[0]"), ("interpolation", "bicubik"), ("mean", "[0.5, 0.5]"), ("dim", "4")];
    let error = set(&good().bytes(), &settings).unwrap_err();
    assert!(matches!(error, Error::Setting(_)), "{error}");
    let error = error.to_string();
    for words in [
        "settings: 5 problems",
        "`maen` is wrongly set: expected a key that can be set, found [0.5]; nearest: `mean`",
        "`std` is wrongly set: expected a list of finite numbers above 0, found [0]",
        "`interpolation` is wrongly set: expected bicubic, bilinear or nearest, found \"bicubik\"; nearest: `bicubic`",
        "`mean` is wrongly set: expected 1 values, as in_channels says, found 2",
        "`dim` is wrongly set: expected a key that can be set",
        "what can be set: name, labels, resize, crop_pct, crop_mode, interpolation, mean or std",
    ] {
        assert!(error.contains(words), "{error} lacks {words}");
    }
    let error = set(&good().bytes(), &[("crop_pct", "1e-300"), ("labels", "[\"a\"]")]).unwrap_err().to_string();
    assert!(error.contains("makes resize 1 to 1048576") && error.contains("3 values, as num_classes says"), "{error}");
}
