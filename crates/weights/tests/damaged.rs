//! Each way in which a checkpoint can be wrong, one damaged file apiece: the message names the file, the tensor or
//! key, what was expected and what was found.

mod common;

use common::{Builder, checkpoint, complaint, good, open, raw, small};
use vit::VitConfig;

/// A way to damage the good checkpoint, and what the message must say.
type Case<'a> = (&'a str, fn(&mut Builder), &'a [&'a str]);

/// The message for a file of those bytes, loaded from memory and from disk: the same but for the file's name.
fn message(bytes: &[u8], arch: Option<&str>) -> String {
    let from_memory = complaint(bytes, arch).expect("damaged files are errors");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.safetensors");
    std::fs::write(&path, bytes).unwrap();
    let from_file = match weights::TensorFile::from_file(&path).and_then(|file| common::loader(arch).checkpoint(file)) {
        Err(error) => error.to_string(),
        Ok(checkpoint) => {
            let label = path.display().to_string();
            drop(checkpoint);
            from_memory.replace("(bytes in memory)", &label)
        }
    };
    assert!(from_file.contains("damaged.safetensors"), "no file in {from_file}");
    assert_eq!(from_file.replace(&path.display().to_string(), "(bytes in memory)"), from_memory);
    from_memory
}

fn check(case: &str, bytes: &[u8], arch: Option<&str>, needles: &[&str]) {
    let message = message(bytes, arch);
    for needle in needles {
        assert!(message.contains(needle), "{case}: {message:?} lacks {needle:?}");
    }
}

fn check_all(cases: &[Case]) {
    assert_eq!(complaint(&good().bytes(), None), None);
    for (case, damage, needles) in cases {
        let mut builder = good();
        damage(&mut builder);
        check(case, &builder.bytes(), None, needles);
    }
}

#[test]
fn tensors() {
    let cases: &[Case] = &[
        (
            "missing",
            |b| b.remove("blocks.0.norm1.bias"),
            &[
                "1 problem\n",
                "tensor `blocks.0.norm1.bias` is missing: expected F32, F16, BF16 or F64 [4], found no such tensor",
            ],
        ),
        (
            "renamed",
            |b| b.tensor("blocks.0.norm1.bias").name = "blocks.0.norm1.beta".into(),
            &[
                "2 problems",
                "`blocks.0.norm1.bias` is missing",
                "nearest: `blocks.0.norm1.beta`",
                "`blocks.0.norm1.beta` is extra: expected no such tensor, found F32 [4]; nearest: `blocks.0.norm1.bias`",
                "see that `config` (or --arch) describes this checkpoint",
            ],
        ),
        (
            "misshapen",
            |b| b.tensor("cls_token").reshape(&[1, 1, 7]),
            &["tensor `cls_token` is misshapen: expected [1, 1, 8], found [1, 1, 7]"],
        ),
        (
            "transposed, the same number of values",
            |b| b.tensor("blocks.0.mlp.fc1.weight").reshape(&[4, 8]),
            &["`blocks.0.mlp.fc1.weight` is misshapen: expected [8, 4], found [4, 8]"],
        ),
        (
            "a scalar where only alpha and beta may be one",
            |b| b.tensor("head.bias").reshape(&[]),
            &["`head.bias` is misshapen: expected [3], found []"],
        ),
        (
            "wrongly typed",
            |b| b.tensor("norm.weight").dtype = "I32",
            &["tensor `norm.weight` is wrongly typed: expected F32, F16, BF16 or F64, found I32"],
        ),
        (
            "wrongly typed and misshapen",
            |b| {
                b.tensor("norm.weight").reshape(&[2]);
                b.tensor("norm.weight").dtype = "U32";
            },
            &["2 problems", "found U32", "expected [8], found [2]"],
        ),
        (
            "NaN",
            |b| b.tensor("head.weight").set_values(&[(5, f32::NAN), (7, f32::INFINITY), (8, f32::NAN)]),
            &[
                "tensor `head.weight` is not finite: expected finite values, found 2 NaN and 1 infinite of 24, the first at index 5",
                "diverged",
            ],
        ),
        (
            "infinite in the last value of the last tensor",
            |b| b.tensor("head.bias").set_values(&[(2, f32::NEG_INFINITY)]),
            &["`head.bias` is not finite", "found 0 NaN and 1 infinite of 3, the first at index 2"],
        ),
        (
            "NaN beside a missing tensor: one report",
            |b| {
                b.remove("norm.bias");
                b.tensor("blocks.0.alpha").set_values(&[(0, f32::NAN)]);
            },
            &["2 problems", "`norm.bias` is missing", "`blocks.0.alpha` is not finite"],
        ),
        ("empty", |b| b.tensors.clear(), &["22 problems", "and 2 more: 2 missing"]),
    ];
    check_all(cases);
}

#[test]
fn halves_that_are_not_finite() {
    for (dtype, infinite) in [("F16", 0x7C00), ("BF16", 0x7F80)] {
        let mut builder = good();
        builder.tensor("norm.bias").retype(dtype, |_| infinite);
        check(dtype, &builder.bytes(), None, &["`norm.bias` is not finite", "0 NaN and 8 infinite of 8"]);
    }
}

#[test]
fn the_rest_after_twenty_is_counted() {
    let mut builder = checkpoint(VitConfig { depth: 3, ..small() });
    for i in 0..3 {
        builder.remove(&format!("blocks.{i}.norm1.weight"));
        builder.tensor(&format!("blocks.{i}.mlp.fc2.bias")).set_values(&[(0, f32::NAN)]);
        builder.tensor(&format!("blocks.{i}.norm2.bias")).reshape(&[3]);
        builder.tensor(&format!("blocks.{i}.attn.proj.bias")).dtype = "U32";
    }
    let extra = builder.tensor("norm.bias").clone();
    builder.tensors.extend((0..14).map(|i| common::Tensor { name: format!("unused.{i:02}"), ..extra.clone() }));
    let first = message(&builder.bytes(), None);
    assert_eq!(first.matches("\n  tensor").count(), 20, "{first}");
    assert!(first.contains("26 problems") && first.contains("and 6 more: 3 extra, 3 not finite"), "{first}");
    builder.tensors.reverse();
    assert_eq!(message(&builder.bytes(), None), first, "the report depends on the order in the file");
}

#[test]
fn values_of_the_configuration() {
    let cases: &[(&str, &str, &[&str])] = &[
        (r#""dim":4,"#, "", &["config key `dim`", "expected a value: the key is required, found none"]),
        (r#""dim":4,"#, r#""dmi":4,"#, &["config key `dim`", "found none; nearest: `dmi`"]),
        (r#""dim":4"#, r#""dim":0"#, &["`dim`", "expected a whole number from 1 to 1048576, found 0"]),
        (r#""dim":4"#, r#""dim":-4"#, &["`dim`", "found -4"]),
        (r#""dim":4"#, r#""dim":4.0"#, &["`dim`", "found 4.0"]),
        (r#""dim":4"#, r#""dim":"4""#, &["`dim`", "found \"4\""]),
        (r#""dim":4"#, r#""dim":null"#, &["`dim`", "found null"]),
        (r#""dim":4"#, r#""dim":[4]"#, &["`dim`", "found [4]"]),
        (r#""dim":4"#, r#""dim":1048577"#, &["`dim`", "found 1048577"]),
        (r#""dim":4"#, r#""dim":18446744073709551616"#, &["`dim`", "found 18446744073709551616"]),
        (r#""dim":4"#, r#""dim":4,"dim":8"#, &["`dim`", "expected a key that occurs once, found 8"]),
        (r#""dim":4"#, r#""dim":1e400"#, &["`dim`", "found 1e400"]),
        (r#""depth":1"#, r#""depth":1025"#, &["`depth`", "from 1 to 1024, found 1025"]),
        (r#""heads":2"#, r#""heads":3"#, &["`heads`", "expected a divisor of dim 4, found 3"]),
        (r#""patch_size":4"#, r#""patch_size":3"#, &["`patch_size`", "expected a divisor of image_size 8, found 3"]),
        (r#""mlp_ratio":2.0"#, r#""mlp_ratio":0"#, &["`mlp_ratio`", "expected a finite number above 0, found 0"]),
        (r#""mlp_ratio":2.0"#, r#""mlp_ratio":-2.5"#, &["`mlp_ratio`", "found -2.5"]),
        (r#""mlp_ratio":2.0"#, r#""mlp_ratio":1e999"#, &["`mlp_ratio`", "found 1e999"]),
        (r#""mlp_ratio":2.0"#, r#""mlp_ratio":1e300"#, &["`mlp_ratio`", "at most 1048576"]),
        (r#""mlp_ratio":2.0"#, r#""mlp_ratio":0.1"#, &["`dim * mlp_ratio`", "expected 1 to 1048576, found 0"]),
        (
            r#""mlp_ratio":2.0"#,
            r#""mlp_ratio":NaN"#,
            &["config key `config`", "expected a JSON object", "in `mlp_ratio`"],
        ),
        (r#""layer_norm_eps":1e-6"#, r#""layer_norm_eps":0.0"#, &["`layer_norm_eps`", "above 0, found 0.0"]),
        (r#""layer_norm_eps":1e-6"#, r#""layer_norm_eps":1e-60"#, &["`layer_norm_eps`", "found 0.000"]),
        (r#""qkv_bias":true"#, r#""qkv_bias":1"#, &["`qkv_bias`", "expected true or false, found 1"]),
        (r#""arch":"vit""#, r#""arch":"vti""#, &["`arch`", "expected vit or swin, found \"vti\"; nearest: `vit`"]),
        (r#""arch":"vit","#, "", &["`arch`", "the key is required"]),
        (
            r#""tokens":"patch""#,
            r#""tokens":"t2t_preformer""#,
            &["expected patch, t2t_performer or t2t_transformer, found \"t2t_preformer\"; nearest: `t2t_performer`"],
        ),
        (
            r#""tokens":"patch""#,
            r#""tokens":"t2t_performer""#,
            &[
                "2 problems",
                "`patch_size`",
                "expected 16 pixels, of which tokens-to-token makes a token, found 4",
                "`image_size`",
                "expected a multiple of the 16 pixels, of which tokens-to-token makes a token, found 8",
            ],
        ),
        (
            r#""pool":"cls""#,
            r#""pool":"clss""#,
            &["`pool`", "expected cls, avg or cls_avg, found \"clss\"; nearest: `cls`"],
        ),
        (r#""pool":"cls""#, r#""pool":"cls","norm_after_pool":true"#, &["`norm_after_pool`", "set pool to avg"]),
        (r#""pool":"cls""#, r#""pool":"avg","norm_after_pool":"yes""#, &["`norm_after_pool`", "found \"yes\""]),
        (r#""distilled":false,"pool":"cls""#, r#""distilled":true,"pool":"avg""#, &["`distilled`", "set pool to cls"]),
        (
            r#""rescale":"learned""#,
            r#""rescale":"learnt""#,
            &["`rescale`", "expected none, half or learned, found \"learnt\"; nearest: `learned`"],
        ),
        (r#""shuffle":true"#, r#""shuffle":null"#, &["`shuffle`", "found null"]),
        (
            r#""interpolation":"bicubic""#,
            r#""interpolation":"cubic""#,
            &["`interpolation`", "expected bicubic, bilinear or nearest", "nearest: `bicubic`"],
        ),
        (r#""resize":8"#, r#""resize":0"#, &["`resize`", "found 0"]),
        (r#""resize":8"#, r#""crop_pct":-1"#, &["`crop_pct`", "expected a finite number above 0, found -1"]),
        (r#""resize":8"#, r#""crop_pct":1e-9"#, &["`crop_pct`", "makes resize 1 to 1048576, found 0.000000001"]),
        (r#""mean":[0.5]"#, r#""mean":[0.5,0.5]"#, &["`mean`", "expected 1 values, as in_channels says, found 2"]),
        (r#""mean":[0.5]"#, r#""mean":[1e39]"#, &["`mean`", "expected a list of finite numbers, found [1e39]"]),
        (r#""std":[0.5]"#, r#""std":[0]"#, &["`std`", "expected a list of finite numbers above 0, found [0]"]),
        (r#""std":[0.5]"#, r#""std":0.5"#, &["`std`", "found 0.5"]),
        (
            r#""arch":"vit""#,
            r#""arch":"vit","labels":["a","b"]"#,
            &["`labels`", "expected 3 values, as num_classes says, found 2"],
        ),
        (r#""arch":"vit""#, r#""arch":"vit","labels":[1,2,3]"#, &["`labels`", "expected a list of strings and nulls"]),
        (r#""arch":"vit""#, r#""arch":"vit","name":7"#, &["`name`", "expected a string or null, found 7"]),
        (r#"{"arch""#, r#"["arch""#, &["config key `config`", "a JSON object"]),
    ];
    for (from, to, needles) in cases {
        let mut builder = good();
        builder.config = Some(builder.config.unwrap().replace(r#""layer_norm_eps":1e-06"#, r#""layer_norm_eps":1e-6"#));
        builder.edit_config(from, to);
        check(to, &builder.bytes(), None, &["(bytes in memory): ", "wrongly set"]);
        check(to, &builder.bytes(), None, needles);
    }
}

#[test]
fn several_keys_are_one_report() {
    let mut builder = good();
    builder.edit_config(r#""dim":4,"depth":1,"heads":2"#, r#""dim":"4","depth":0"#);
    builder.edit_config(r#""pool":"cls""#, r#""pool":"max""#);
    check("several", &builder.bytes(), None, &["4 problems", "`dim`", "`depth`", "`heads`", "`pool`"]);

    let mut builder = good();
    builder.edit_config(r#""dim":4,"depth":1,"heads":2"#, r#""dim":4,"heads":3"#);
    builder.edit_config(r#""patch_size":4"#, r#""patch_size":3"#);
    builder.edit_config(r#""pool":"cls""#, r#""pool":"cls","norm_after_pool":true,"labels":[]"#);
    builder.edit_config(r#""mlp_ratio":2.0"#, r#""mlp_ratio":0.01"#);
    let needles =
        ["6 problems", "`depth`", "`heads`", "`patch_size`", "`norm_after_pool`", "`dim * mlp_ratio`", "`labels`"];
    check("impossible together", &builder.bytes(), None, &needles);
    builder.edit_config(r#""num_classes":3"#, r#""num_classes":"3""#);
    check("labels that cannot be judged", &builder.bytes(), None, &["6 problems", "`num_classes`"]);
}

#[test]
fn products_that_overflow_are_found_before_anything_is_built() {
    let mut builder = good();
    builder.config = Some(
        r#"{"arch":"vit","dim":1048576,"depth":1024,"heads":1,"mlp_ratio":1,"image_size":1048576,"patch_size":1,"in_channels":1048576}"#
            .into(),
    );
    check("products", &builder.bytes(), None, &["smaller sizes", "overflow"]);
}

#[test]
fn headers() {
    let tensor = |body: &str| format!(r#"{{"x":{{{body}}}}}"#);
    let cases: &[(&str, String, usize, &[&str])] = &[
        ("empty header", String::new(), 0, &["no JSON object of tensors", "EOF while parsing"]),
        ("list", "[]".into(), 0, &["expected a JSON object"]),
        ("junk after it", "{}x".into(), 0, &["trailing characters"]),
        ("unfinished", r#"{"x":"#.into(), 0, &["in `x`", "EOF while parsing"]),
        ("trailing bytes", "{}".into(), 3, &["expected the file to end with its last tensor, at byte 0", "found 3 bytes more"]),
        (
            "no fields",
            tensor(""),
            0,
            &["tensor `x` is wrongly declared: expected dtype, shape and data_offsets", "missing field `dtype`"],
        ),
        ("no object", r#"{"x":3}"#.into(), 0, &["`x`", "invalid type: integer `3`"]),
        (
            "unknown dtype",
            tensor(r#""dtype":"F128","shape":[1],"data_offsets":[0,16]"#),
            16,
            &["`x`", "expected a dtype of the format, such as \"F32\", found \"F128\""],
        ),
        ("negative", tensor(r#""dtype":"F32","shape":[-1],"data_offsets":[0,4]"#), 4, &["`x`", "invalid value: integer `-1`"]),
        ("fraction", tensor(r#""dtype":"F32","shape":[1.5],"data_offsets":[0,4]"#), 4, &["`x`", "floating point `1.5`"]),
        (
            "overflow",
            tensor(r#""dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]"#),
            0,
            &["`x`", "expected a shape whose bytes can be counted, found F32 [4294967296, 4294967296]"],
        ),
        (
            "bits overflow",
            tensor(r#""dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]"#),
            0,
            &["`x`", "a shape whose bytes can be counted"],
        ),
        ("half a byte", tensor(r#""dtype":"F4","shape":[1],"data_offsets":[0,0]"#), 0, &["whose bytes can be counted"]),
        (
            "dimensions",
            tensor(r#""dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]"#),
            4,
            &["`x`", "a list longer than 8"],
        ),
        (
            "wrong length",
            tensor(r#""dtype":"F16","shape":[2,3],"data_offsets":[0,24]"#),
            24,
            &["`x`", "expected data_offsets 12 bytes apart for F16 [2, 3], found [0, 24]"],
        ),
        ("backwards", tensor(r#""dtype":"F32","shape":[1],"data_offsets":[4,0]"#), 4, &["4 bytes apart", "found [4, 0]"]),
        (
            "far outside",
            tensor(r#""dtype":"F32","shape":[1],"data_offsets":[18446744073709551611,18446744073709551615]"#),
            4,
            &["expected values within the 4 bytes that follow the header", "found data_offsets [18446744073709551611, 1"],
        ),
        (
            "truncated values",
            tensor(r#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#),
            7,
            &["within the 7 bytes that follow the header, found data_offsets [0, 8]", "truncated"],
        ),
        (
            "three offsets",
            tensor(r#""dtype":"F32","shape":[1],"data_offsets":[0,4,4]"#),
            4,
            &["`x`", "expected dtype, shape and data_offsets"],
        ),
        (
            "a gap",
            tensor(r#""dtype":"F32","shape":[1],"data_offsets":[4,8]"#),
            8,
            &["expected values from byte 0 on, where those before them end, found data_offsets [4, 8]"],
        ),
        (
            "an overlap",
            r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#.into(),
            8,
            &["tensor `y`", "from byte 8 on"],
        ),
        (
            "a name twice",
            r#"{"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}"#.into(),
            8,
            &["tensor `x`", "expected a name that occurs once"],
        ),
        ("metadata twice", r#"{"__metadata__":{"config":"a"},"__metadata__":{"config":"b"}}"#.into(), 0, &["`config`", "occurs once"]),
        ("metadata a list", r#"{"__metadata__":[]}"#.into(), 0, &["`__metadata__`", "expected an object of strings"]),
        ("metadata of numbers", r#"{"__metadata__":{"config":3}}"#.into(), 0, &["`__metadata__`", "in `config`: invalid type"]),
    ];
    for (case, header, data, needles) in cases {
        check(case, &raw(header, &vec![0; *data]), None, needles);
    }
}

#[test]
fn files_that_are_none() {
    let lie = |len: u64, rest: &[u8]| [&len.to_le_bytes()[..], rest].concat();
    let cases: &[(&str, Vec<u8>, &[&str])] = &[
        ("empty", vec![], &["not a readable safetensors file", "expected at least 8 bytes, found 0"]),
        ("seven bytes", vec![0; 7], &["expected at least 8 bytes, found 7"]),
        ("huge", lie(u64::MAX, b"{}"), &["announce a header of 18446744073709551615 bytes, found 2 more in the file"]),
        ("one too many", lie(3, b"{}"), &["announce a header of 3 bytes, found 2 more"]),
        ("not UTF-8", lie(4, b"{\"\xFF\""), &["no UTF-8 text from byte 2 on"]),
        ("a zip", b"PK\x03\x04 archive/data.pkl".to_vec(), &["PyTorch's own format", "python -m shuffle_vit export"]),
        ("a picture", b"\x89PNG\r\n\x1a\n and more".to_vec(), &["a picture", "give it to `classify` as an image"]),
        ("a pickle", b"\x80\x02}q\x00 and so on".to_vec(), &["PyTorch's own format"]),
        (
            "NumPy's archive",
            b"PK\x03\x04 Transformer/encoder_norm/bias.npy".to_vec(),
            &["it is an .npz archive", "numpy.load"],
        ),
        ("NumPy's array", b"\x93NUMPY\x01\x00v\x00".to_vec(), &["it is a single array of NumPy"]),
        (
            "LFS",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 22883420\n".to_vec(),
            &["it is a Git LFS pointer", "git lfs pull"],
        ),
        ("a page", b"\n<!DOCTYPE html><html><head>".to_vec(), &["it is a web page", "/resolve/"]),
        ("a page's middle", b"<HTML lang=en>".to_vec(), &["it is a web page"]),
        (
            "an index",
            br#"{ "metadata": {"total_size": 1234}, "weight_map": {"head.bias": "model-00001-of-00002.safetensors"}}"#
                .to_vec(),
            &["it is an index of a checkpoint in several files", "name the folder"],
        ),
        ("a description", br#"{"architecture": "vit_tiny_patch16_224"}"#.to_vec(), &["it is a JSON text"]),
        ("ONNX", b"\x08\x08\x12\x07pytorch\x1a\x052.4.0".to_vec(), &["it is an ONNX model"]),
        ("GGUF", b"GGUF\x03\x00\x00\x00\x10".to_vec(), &["it is a GGUF file"]),
        ("HDF5", b"\x89HDF\r\n\x1a\n".to_vec(), &["it is an HDF5 file"]),
        ("TensorFlow Lite", b"\x1c\x00\x00\x00TFL3".to_vec(), &["it is a TensorFlow Lite model"]),
        ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x01\x00\x00\x03".to_vec(), &["it is compressed with gzip"]),
        // What begins like a length is a damaged file of the format itself.
        ("truncated", vec![0x80, 2, 0, 0, 0, 0, 0, 0, b'{'], &["announce a header of 640 bytes, found 1", "truncated"]),
    ];
    for (case, bytes, needles) in cases {
        check(case, bytes, None, needles);
    }
}

#[test]
fn models_known_by_name_only() {
    let mut builder = good();
    builder.config = None;
    let bytes = builder.bytes();
    check("no name", &bytes, None, &["the metadata has no `config`", "--arch with one of deit_tiny, "]);
    let error = |name| open(&bytes, Some(name)).err().unwrap().to_string();
    assert!(error("deit_tin").contains("no built-in model; nearest: deit_tiny; expected deit_tiny, shuffle_deit_tiny"));
    assert!(error("t2t_vit_8").contains("no built-in model; nearest: t2t_vit_"));
    check(
        "another model",
        &bytes,
        Some("deit_tiny"),
        &["and ", " more: ", "misshapen: expected [1, 1, 192], found [1, 1, 8]"],
    );

    builder.tensor("pos_embed").reshape(&[1, 196, 8]);
    let needles = [
        "`pos_embed` is misshapen: expected 1 class token(s) and a square number of patches, such as 1 + 14 x 14",
        "found 196 positions, 195 without",
    ];
    check("no square", &builder.bytes(), Some("deit_tiny"), &needles);
    builder.tensor("pos_embed").reshape(&[1, 1, 8]);
    check("no patches", &builder.bytes(), Some("deit_tiny"), &["found 1 positions, 0 without"]);
}

#[test]
fn folders_and_absent_files() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &std::path::Path| weights::TensorFile::from_file(path).err().unwrap().to_string();
    assert!(error(folder.path()).contains("cannot open: it is a folder"));
    assert!(error(&folder.path().join("absent")).contains("No such file"));
    #[cfg(unix)]
    assert!(error(std::path::Path::new("/dev/zero")).contains("it is not a regular file"));
}
