//! Files made to do harm: whatever the bytes, an answer and no panic, and the public reader agrees on what is valid.

mod common;

use common::{checkpoint, checkpoint_of, complaint, good, open, raw, small_swin, small_t2t};
use proptest::prelude::*;
use safetensors::SafeTensors;
use vit::{Config, Tokens};
use weights::TensorFile;

/// Opens the bytes both ways in which hostile ones come, and holds the outcome against the public crate's.
fn probe(bytes: &[u8]) {
    for arch in [None, Some("deit_tiny")] {
        let _ = complaint(bytes, arch);
    }
    let Ok(file) = TensorFile::from_bytes(bytes) else { return };
    let peer = SafeTensors::deserialize(bytes).expect("a file that the public reader refuses was accepted");
    assert_eq!(file.tensors().len(), peer.len());
    for info in file.tensors() {
        let tensor = peer.tensor(&info.name).unwrap();
        assert_eq!((tensor.dtype(), tensor.shape()), (info.dtype, &info.shape[..]));
        if let Ok(values) = file.tensor(&info.name) {
            assert_eq!(values.len(), info.len());
        }
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = good().bytes();
    for len in 0..bytes.len() {
        let message = complaint(&bytes[..len], None).unwrap_or_else(|| panic!("{len} of {} bytes load", bytes.len()));
        assert!(message.starts_with("(bytes in memory): "), "{message}");
    }
}

#[test]
fn every_truncation_on_disk_is_the_same_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let bytes = good().bytes();
    for len in (0..bytes.len()).step_by(97) {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let from_disk = TensorFile::from_file(&path).unwrap_err().to_string();
        let from_memory = TensorFile::from_bytes(&bytes[..len]).unwrap_err().to_string();
        assert_eq!(from_disk.replace(&path.display().to_string(), "(bytes in memory)"), from_memory);
    }
}

#[test]
fn flipped_bits_anywhere_in_the_header_are_survived() {
    let bytes = good().bytes();
    let header = 8 + good().header().len();
    for at in 0..header {
        for bit in [0, 2, 5, 7] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            probe(&bytes);
        }
    }
}

#[test]
fn numbers_at_the_edges_of_their_types() {
    let numbers = [
        "0",
        "1",
        "-1",
        "4294967295",
        "4294967296",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1e308",
        "1e999",
        "0.5",
        "null",
        "\"1\"",
        "[]",
        "{}",
        "true",
    ];
    for a in numbers {
        for b in numbers {
            probe(&raw(&format!(r#"{{"x":{{"dtype":"F32","shape":[{a},{b}],"data_offsets":[0,4]}}}}"#), &[0; 4]));
            probe(&raw(&format!(r#"{{"x":{{"dtype":"F16","shape":[2],"data_offsets":[{a},{b}]}}}}"#), &[0; 4]));
        }
    }
}

#[test]
fn deep_nesting_is_no_recursion() {
    let deep = "[".repeat(1 << 20);
    probe(&raw(&deep, &[]));
    probe(&raw(&format!(r#"{{"x":{deep}"#), &[]));
    probe(&raw(&format!(r#"{{"__metadata__":{{"config":"{deep}"}}}}"#), &[]));
}

#[test]
fn text_from_a_file_cannot_drive_a_terminal() {
    let mut builder = good();
    builder.tensor("norm.bias").name = "norm\x1b[2J\u{9b}\r.bias".into();
    builder.edit_config(r#""pool":"cls""#, r#""pool":"cls","\u001b]0;x\u0007":1"#);
    let message = complaint(&builder.bytes(), None).unwrap();
    assert!(message.contains("norm\\u{1b}[2J\\u{9b}\\r.bias"), "{message:?}");
    assert!(message.chars().all(|c| c == '\n' || !c.is_control()), "{message:?}");
    builder.tensor("norm\x1b[2J\u{9b}\r.bias").name = "norm.bias".into();
    builder.edit_config("\\u001b", "\\n");
    let warnings = open(&builder.bytes(), None).unwrap().warnings().join("");
    assert!(warnings.contains("\\n]0;x") && warnings.chars().all(|c| !c.is_control()), "{warnings:?}");
}

#[test]
fn messages_stay_short() {
    let long = "x".repeat(1 << 20);
    for header in [
        format!(r#"{{"x":"{long}"}}"#),
        format!(r#"{{"{long}":3}}"#),
        format!(r#"{{"x":{{"dtype":"{long}","shape":[],"data_offsets":[0,0]}}}}"#),
        format!(r#"{{"__metadata__":{{"config":["{long}"]}}}}"#),
        format!(r#""{long}""#),
        format!(r#"{{"{long}":"#),
    ] {
        let message = complaint(&raw(&header, &[]), None).unwrap();
        assert!(message.len() < 1000, "{} bytes: {}", message.len(), &message[..1000]);
    }
    let mut builder = good();
    builder.edit_config(r#""pool":"cls""#, &format!(r#""pool":"{long}","{long}":0"#));
    builder.tensor("norm.bias").name = long;
    assert!(complaint(&builder.bytes(), None).unwrap().len() < 1000);
}

/// Values of JSON that a header or a configuration may hold anywhere.
fn junk() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "0",
        "1",
        "-1",
        "4",
        "1e99",
        "\"\"",
        "\"F32\"",
        "\"vit\"",
        "\"swin\"",
        "\"t2t_performer\"",
        "[3]",
        "1048576",
        "[1024,1024]",
        "[]",
        "[1,2]",
        "{}",
        "null",
        "true",
        "NaN",
        "\"\\ud800\"",
        "",
    ])
    .prop_map(String::from)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        probe(&bytes);
        let mut framed = (bytes.len() as u64).to_le_bytes().to_vec();
        framed.extend(&bytes);
        probe(&framed);
    }

    #[test]
    fn any_few_bytes_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = good().bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        probe(&bytes);
    }

    #[test]
    fn any_values_of_the_configuration(family in 0..3usize, values in prop::collection::vec((0..25usize, junk()), 1..4)) {
        let mut builder = match family {
            0 => good(),
            1 => checkpoint(small_t2t(Tokens::T2tPerformer)),
            _ => checkpoint_of(Config::new(small_swin()).unwrap()),
        };
        for (key, value) in values {
            let config = builder.config.take().unwrap();
            let pieces: Vec<&str> = config.split_inclusive(':').collect();
            let at = key % (pieces.len() - 1) + 1;
            let end = pieces[at].find(",\"").or(pieces[at].find('}')).unwrap_or(pieces[at].len());
            builder.config = Some(pieces[..at].concat() + &value + &pieces[at][end..] + &pieces[at + 1..].concat());
        }
        probe(&builder.bytes());
    }
}
