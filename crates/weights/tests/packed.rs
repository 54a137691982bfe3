//! Packed files: what they compute is what their checkpoints compute, and what is wrong with them is told.

mod common;

use std::convert::Infallible;

use common::{aligned, checkpoint_of, edited, from_bytes, levels, loader, packed, raw, small, small_swin, small_t2t};
use proptest::prelude::*;
use serde_json::{Value, json};
use vit::{Config, Level, PACKED_VERSION, Rescale, TensorName, Tensors, Tokens, VitConfig};
use weights::{Description, Error, LoadedModel, Loader, Random, TensorFile, load, save_packed};

fn good() -> Vec<u8> {
    packed(Config::new(small()).unwrap())
}

/// One of each kind of model, vanilla and shuffled.
fn models() -> Vec<Config> {
    let vanilla = |config: VitConfig| VitConfig { shuffle: false, rescale: Rescale::None, ..config };
    let mut swin = small_swin();
    (swin.shuffle, swin.rescale) = (false, Rescale::None);
    vec![
        Config::new(small()).unwrap(),
        Config::new(vanilla(small())).unwrap(),
        Config::new(VitConfig { distilled: true, ..small() }).unwrap(),
        Config::new(small_t2t(Tokens::T2tPerformer)).unwrap(),
        Config::new(vanilla(small_t2t(Tokens::T2tTransformer))).unwrap(),
        Config::new(small_swin()).unwrap(),
        Config::new(swin).unwrap(),
    ]
}

/// The bits of a batch's logits at every level.
fn logits(loaded: &LoadedModel) -> Vec<u32> {
    let model = loaded.model();
    let images: Vec<f32> = (0..2 * model.config().image_len()).map(|i| (i % 251) as f32 / 125.0 - 1.0).collect();
    let run = |level: Level| {
        let mut logits = vec![f32::NAN; 2 * model.config().outputs()];
        model.run(level, &images, &mut logits, &mut vec![f32::NAN; model.scratch_len(level)]).unwrap();
        logits
    };
    levels().into_iter().flat_map(run).map(f32::to_bits).collect()
}

/// The message of what is wrong, in memory and on the disk alike.
fn complaint(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.packed");
    std::fs::write(&path, bytes).unwrap();
    let from_file = load(&path).expect_err("damaged files are errors").to_string();
    let from_memory = from_bytes(bytes, None).unwrap_err().to_string();
    assert_eq!(from_file.replace(&path.display().to_string(), "(bytes in memory)"), from_memory);
    assert!(from_file.contains("x.packed"), "{from_file}");
    from_memory
}

#[track_caller]
fn says(message: &str, words: &[&str]) {
    for words in words {
        assert!(message.contains(words), "{message:?} lacks {words:?}");
    }
}

#[test]
fn every_way_in_gives_the_checkpoints_logits() {
    let folder = tempfile::tempdir().unwrap();
    for config in models() {
        let checkpoint = checkpoint_of(config).bytes();
        let whole = from_bytes(&checkpoint, None).unwrap();
        let path = folder.path().join("x.packed");
        let len = save_packed(&path, &whole).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, len);
        let misaligned = folder.path().join("misaligned.packed");
        std::fs::write(&misaligned, edited(&bytes, 1, |_, _| {})).unwrap();
        let [on_a_line, off_it] = [0, 1].map(|shift| aligned(&bytes, shift));
        let ways = [
            ("read", load(&path)),
            ("read from a misaligned file", load(&misaligned)),
            ("borrowed", from_bytes(&on_a_line, None)),
            ("copied", from_bytes(&off_it, None)),
        ];
        // SAFETY: nobody else knows the folder, and nothing writes to the files while they are mapped.
        #[cfg(feature = "mmap")]
        let ways = ways.into_iter().chain(unsafe {
            [
                ("mapped", Loader::new().load_mmap(&path)),
                ("mapped from a misaligned file", Loader::new().load_mmap(&misaligned)),
            ]
        });
        for (way, loaded) in ways {
            let loaded = loaded.unwrap();
            assert_eq!((loaded.description(), loaded.warnings()), (whole.description(), &[][..]), "{way}");
            assert_eq!(loaded.weight_bytes(), whole.weight_bytes(), "{way}");
            assert_eq!(loaded.verify().unwrap(), whole.verify().unwrap(), "{way}");
            assert_eq!(logits(&loaded), logits(&whole), "{way}: {config:?}");
        }
    }
}

#[test]
fn a_description_travels_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.packed");
    let mut description = Description::new(Config::new(small()).unwrap());
    description.name = Some("näme".into());
    description.labels = vec![Some("a".into()), None, Some("\"c\"".into())];
    description.preparation.resize = 77;
    save_packed(&path, &LoadedModel::from_tensors(description.clone(), &mut Random::new(1)).unwrap()).unwrap();
    let loaded = loader(Some("deit_tiny")).load(&path).unwrap();
    assert_eq!(loaded.description(), &description);
    assert_eq!(loaded.warnings(), ["arch deit_tiny is ignored: the file describes itself"]);
}

#[test]
fn others_can_look_into_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.packed");
    let checkpoint = checkpoint_of(Config::new(small()).unwrap()).bytes();
    let model = from_bytes(&checkpoint, None).unwrap();
    save_packed(&path, &model).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!((header + 8) % 64, 0, "the values begin on a cache line");
    let tensors: Vec<_> = metadata.tensors().into_iter().map(|(name, info)| (name, info.shape.clone())).collect();
    assert_eq!(tensors, [("packed".to_string(), vec![model.weight_bytes() / 4])]);
    let entries = metadata.metadata().as_ref().unwrap();
    assert_eq!(entries["packed"], PACKED_VERSION.to_string());
    assert_eq!(entries["checksum"], model.verify().unwrap());
    assert_eq!(entries["config"], model.description().to_json());

    let loaded = load(&path).unwrap();
    let before = logits(&loaded);
    let other = LoadedModel::from_tensors(model.description().clone(), &mut Random::new(2)).unwrap();
    save_packed(&path, &other).unwrap(); // a new file in its place
    assert_eq!(logits(&loaded), before);
    assert_ne!(logits(&load(&path).unwrap()), before);
    save_packed(&path, &model).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes, "packing gives other bytes each time");
}

/// Whoever may write to the file while a model runs that was loaded from it, and whatever its permissions are.
#[test]
fn a_loaded_model_does_not_change_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.packed");
    std::fs::write(&path, good()).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let mut permissions = file.metadata().unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    let loaded = load(&path).unwrap();
    let before = (logits(&loaded), loaded.verify().unwrap());
    let len = file.metadata().unwrap().len();
    file.set_len(0).unwrap();
    assert_eq!((logits(&loaded), loaded.verify().unwrap()), before);
    file.set_len(len).unwrap(); // zeros
    assert_eq!((logits(&loaded), loaded.verify().unwrap()), before);
}

/// As `pack` does it with settings: the description is another than the one that the first file was packed with.
#[test]
fn a_packed_model_described_anew_can_be_packed_again() {
    let bytes = good();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.packed");
    let named = Loader::new().set("name", "another").from_bytes(&bytes).unwrap();
    save_packed(&path, &named).unwrap();
    let loaded = load(&path).unwrap();
    loaded.verify().unwrap();
    assert_eq!(loaded.description().name.as_deref(), Some("another"));
}

/// What the checksum is of, for those who check it with other tools.
#[test]
fn the_checksum_is_of_the_description_and_the_values() {
    let bytes = good();
    edited(&bytes, 0, |header, data| {
        let metadata = &header["__metadata__"];
        let text = metadata["config"].as_str().unwrap();
        let crc = [text.as_bytes(), data].concat().iter().fold(!0u32, |crc, byte| {
            let bit = |crc: u32, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
            (0..8).fold(crc ^ u32::from(*byte), bit)
        });
        assert_eq!(metadata["checksum"], format!("crc32:{:08x}", !crc));
    });
}

/// A change of the order in which `vit` packs makes files that exist unreadable: whoever changes it raises
/// `vit::PACKED_VERSION`, so that they are refused, and writes here what this test finds.
#[test]
fn the_order_is_the_one_of_its_number() {
    let fnv = |data: &[u8]| {
        data.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
        })
    };
    let found = models().into_iter().map(|config| {
        let mut hash = 0;
        edited(&packed(config), 0, |_, data| hash = fnv(data));
        format!("{hash:016x}")
    });
    let order_1 = [
        "22528e43293fa77c",
        "0cf71f271bdb8638",
        "8a35a06afdd2af63",
        "e83095d167042d82",
        "951d69ed71e004ea",
        "c2865149ead061b1",
        "46bc9ebe007c4acd",
    ];
    assert_eq!((PACKED_VERSION, found.collect::<Vec<_>>()), (1, order_1.map(String::from).to_vec()));
}

#[test]
fn other_orders_are_refused() {
    let with = |version: Value| complaint(&edited(&good(), 0, |header, _| header["__metadata__"]["packed"] = version));
    let newer = (PACKED_VERSION + 1).to_string();
    let reads = format!("in order {newer} where this one reads {PACKED_VERSION}; pack the checkpoint again");
    says(&with(json!(newer)), &["packed by a newer version of this program", &reads]);
    let older = (PACKED_VERSION > 1).then_some("1");
    older.iter().for_each(|version| says(&with(json!(version)), &["packed by an older version"]));
    for word in ["0", "", "one", "-1", "99999999999999999999", "1.0"] {
        says(&with(json!(word)), &["packed by another program, in order "]);
    }
}

#[test]
fn headers_that_say_something_else_are_told() {
    type Edit = fn(&mut Value, &mut Vec<u8>);
    fn entry<'h>(header: &'h mut Value, key: &str) -> &'h mut Value {
        &mut header["__metadata__"][key]
    }
    fn config(header: &mut Value, from: &str, to: &str) {
        let text = entry(header, "config").as_str().unwrap().replace(from, to);
        *entry(header, "config") = text.into();
    }
    let cases: &[(Edit, &[&str])] = &[
        (|h, _| drop(h["__metadata__"].as_object_mut().unwrap().remove("config")), &["`config`", "a JSON object"]),
        (|h, _| config(h, "\"heads\":2", "\"heads\":3"), &["`heads`", "expected a divisor of dim 4, found 3"]),
        (
            |h, _| config(h, "\"dim\":4", "\"dim\":8"),
            &["tensor `packed` is misshapen: expected [", "], as `config` says"],
        ),
        (|h, _| config(h, "\"depth\":1", "\"depth\":1024"), &["tensor `packed` is misshapen"]),
        (
            |h, _| drop(h["__metadata__"].as_object_mut().unwrap().remove("checksum")),
            &["`__metadata__`", "expected `checksum` crc32: and eight hexadecimal digits, found `checksum` \"\""],
        ),
        (|h, _| *entry(h, "checksum") = "crc32:123".into(), &["found `checksum` \"crc32:123\""]),
        (|h, _| *entry(h, "checksum") = "crc32:ABCDEF01".into(), &["`checksum` \"crc32:ABCDEF01\""]),
        (|h, _| *entry(h, "checksum") = "crc32:+1234567".into(), &["`checksum` \"crc32:+1234567\""]),
        (|h, _| *entry(h, "checksum") = "xxh3:\u{1b}[2J".into(), &["`checksum` \"xxh3:\\u{1b}[2J\""]),
        (
            |h, _| h["weights"] = h.as_object_mut().unwrap().remove("packed").unwrap(),
            &["2 problems", "tensor `packed` is missing: expected F32 [", "`weights` is extra: expected no tensor but"],
        ),
        (
            |h, _| h["packed"]["dtype"] = "I32".into(),
            &["tensor `packed` is wrongly typed: expected F32 [", "found I32 ["],
        ),
        (
            |h, _| {
                let len = h["packed"]["shape"][0].as_u64().unwrap();
                h["packed"]["shape"] = json!([len, 1]);
            },
            &["tensor `packed` is misshapen", ", 1]"],
        ),
        (
            |h, data| {
                let len = data.len() - 64;
                data.truncate(len);
                h["packed"]["shape"] = json!([len / 4]);
                h["packed"]["data_offsets"] = json!([0, len]);
            },
            &["tensor `packed` is misshapen"],
        ),
        (
            |h, data| {
                let len = data.len();
                h["more"] = json!({"dtype": "F32", "shape": [1], "data_offsets": [len, len + 4]});
                data.extend([0; 4]);
            },
            &["1 problem\n", "tensor `more` is extra: expected no tensor but `packed`, found F32 [1]"],
        ),
    ];
    for (edit, words) in cases {
        let message = complaint(&edited(&good(), 0, edit));
        says(&message, words);
        says(&message, &["(bytes in memory): ", "pack the checkpoint again"]);
    }
}

#[test]
fn damage_is_found_when_it_is_looked_for() {
    let bytes = good();
    let whole = from_bytes(&bytes, None).unwrap().verify().unwrap();
    let verify = |bytes: &[u8]| from_bytes(bytes, None).unwrap().verify().unwrap_err();
    for at in [0, 1] {
        let damaged = edited(&bytes, 0, |_, data| {
            let at = at * (data.len() - 1);
            data[at] ^= 1;
        });
        let Error::Checksum { expected, found, .. } = verify(&damaged) else { panic!("{at}") };
        assert_eq!((&expected, found == expected), (&whole, false));
        let message = verify(&damaged).to_string();
        says(&message, &["(bytes in memory): damaged: expected checksum ", &whole, &found, "; fetch it again or pack"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.packed");
        std::fs::write(&path, &damaged).unwrap();
        let loaded = load(&path).unwrap(); // not looked for
        says(&loaded.verify().unwrap_err().to_string(), &["x.packed: damaged: "]);
        says(&save_packed(folder.path().join("y"), &loaded).unwrap_err().to_string(), &["x.packed: damaged: "]);
    }
    let described_otherwise = edited(&bytes, 0, |header, _| {
        let text = header["__metadata__"]["config"].as_str().unwrap().replace("1e-6", "1e-5");
        header["__metadata__"]["config"] = text.into();
    });
    assert!(matches!(verify(&described_otherwise), Error::Checksum { .. }));
    let expected_otherwise =
        edited(&bytes, 0, |header, _| header["__metadata__"]["checksum"] = "crc32:00000000".into());
    says(&verify(&expected_otherwise).to_string(), &["expected checksum crc32:00000000, found ", &whole]);
}

#[test]
fn values_that_are_not_finite_are_not_packed() {
    struct Infinite(Vec<f32>);
    impl Tensors for Infinite {
        type Error = Infallible;
        fn tensor(&mut self, name: TensorName, shape: &[usize]) -> Result<&[f32], Infallible> {
            let value = if name == TensorName::Top("head.bias") { f32::INFINITY } else { 1.0 };
            self.0 = vec![value; shape.iter().product()];
            Ok(&self.0)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.packed");
    let model =
        LoadedModel::from_tensors(Description::new(Config::new(small()).unwrap()), &mut Infinite(vec![])).unwrap();
    let error = save_packed(&path, &model).unwrap_err().to_string();
    says(&error, &["`packed` is not finite: expected finite values, found 0 NaN and 3 infinite of "]);
    assert!(!path.exists());
}

#[test]
fn a_packed_file_is_no_checkpoint() {
    let bytes = good();
    let error = loader(Some("deit_tiny")).checkpoint(TensorFile::from_bytes(&bytes).unwrap()).unwrap_err();
    assert_eq!(error, Error::Packed { file: "(bytes in memory)".into() });
    says(&error.to_string(), &["expected a checkpoint: name the one that it was packed from"]);
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = good();
    for len in 0..bytes.len() {
        assert!(from_bytes(&bytes[..len], None).is_err(), "{len} of {} bytes load", bytes.len());
    }
    says(
        &complaint(&bytes[..bytes.len() - 4]),
        &["tensor `packed` is wrongly declared", "expected values within the "],
    );
    says(&complaint(&[&bytes[..], &[0]].concat()), &["`packed` is wrongly declared", "found 1 bytes more"]);
    says(&complaint(&raw(r#"{"__metadata__":{"packed":"1"}}"#, &[])), &["`config`"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the values are, a model that loads runs; whatever the bytes are, it loads or says why not.
    #[test]
    fn any_few_bytes_changed(
        model in 0..7usize,
        in_header in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = packed(models()[model]);
        let len = if in_header { 700 } else { bytes.len() };
        for (at, value) in changes {
            let at = at.index(len);
            bytes[at] = value;
        }
        if let Ok(loaded) = from_bytes(&bytes, None) {
            logits(&loaded);
            let _ = loaded.verify();
        }
    }

    #[test]
    fn any_values(bits in prop::collection::vec(any::<u32>(), 16)) {
        let bytes = edited(&good(), 0, |_, data| {
            let values = bits.iter().cycle().flat_map(|bits| bits.to_le_bytes());
            data.iter_mut().zip(values).for_each(|(byte, value)| *byte = value);
        });
        logits(&from_bytes(&bytes, None).unwrap());
    }
}

/// What changes how a checkpoint is packed comes too late, and is not ignored in silence.
#[test]
fn what_cannot_change_a_packed_file_is_refused() {
    let bytes = packed(Config::new(small()).unwrap());
    let loader = weights::Loader::new;
    for (loader, option) in [
        (loader().heads(1), "--heads"),
        (loader().prefix("ema."), "--prefix"),
        (loader().ignore("x.*"), "--ignore"),
        (loader().resize_positions(16), "--resize-positions"),
    ] {
        let error = loader.from_bytes(&bytes).unwrap_err();
        assert!(matches!(error, Error::AlreadyPacked { .. }), "{error}");
        assert!(error.to_string().contains(&format!("a packed file, which {option} cannot change")), "{error}");
    }
}
