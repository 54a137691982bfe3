//! Files of other formats that people have for weights, told by how they begin.

/// Bytes that are enough to tell them by.
pub(super) const ENOUGH: usize = 1024;

/// What a file is, and what to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign {
    pub what: &'static str,
    pub advice: &'static str,
}

const PYTORCH: &str =
    "convert it with `python -m shuffle_vit export --arch NAME --checkpoint FILE OUT` (tools/README.md)";
const DAMAGED: &str = "the file is truncated, damaged or of another format: fetch or export it again";

/// What to do about a file of no known format.
pub(super) const UNKNOWN: &str = DAMAGED;

/// The format that a file which begins so is of, if it is a known one.
pub(super) fn identify(start: &[u8]) -> Option<Foreign> {
    let of = |what, advice| Some(Foreign { what, advice });
    if start.get(4..8) == Some(&[0; 4]) {
        // The length of a header, as this format begins.
        return None;
    }
    match start {
        [b'P', b'K', 3, 4, ..] if has(start, ".npy") => of(
            "an .npz archive of NumPy",
            "load it with timm or numpy.load and write it with safetensors.torch.save_file",
        ),
        [b'P', b'K', 3, 4, ..] => of("a zip archive, perhaps of PyTorch's own format", PYTORCH),
        [0x80, 2..=5, ..] => of("a pickle, PyTorch's own format", PYTORCH),
        [b'G', b'G', b'U', b'F', ..] => of("a GGUF file", "get the model's .safetensors file instead"),
        [0x89, b'H', b'D', b'F', ..] => {
            of("an HDF5 file, as Keras writes it", "get the model's .safetensors file instead")
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => {
            of("a single array of NumPy", "a model has many: get its .safetensors file")
        }
        [0x89, b'P', b'N', b'G', ..] | [0xFF, 0xD8, 0xFF, ..] | [b'R', b'I', b'F', b'F', ..] => {
            of("a picture or another medium", "give it to `classify` as an image, and name a .safetensors file here")
        }
        [0x1F, 0x8B, ..] => of("compressed with gzip", "unpack it first"),
        [_, _, _, _, b'T', b'F', b'L', b'3', ..] => {
            of("a TensorFlow Lite model", "get the model's .safetensors file instead")
        }
        [0x08, 1..=15, 0x12, ..] => {
            of("an ONNX model", "get the model's .safetensors file, from which the ONNX model was made")
        }
        _ => text(start),
    }
}

fn text(start: &[u8]) -> Option<Foreign> {
    let blank = start.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let lower = start[blank..].to_ascii_lowercase();
    let (what, advice) = if lower.starts_with(b"version https://git-lfs") {
        (
            "a Git LFS pointer, which stands for a file that was not fetched",
            "run git lfs pull, or download the file itself",
        )
    } else if [&b"<!doctype"[..], b"<html", b"<?xml", b"<head"].iter().any(|tag| lower.starts_with(tag)) {
        ("a web page", "download the file itself: on the Hugging Face hub its address has /resolve/ in place of /blob/")
    } else if lower.starts_with(b"{") && (has(&lower, "weight_map") || has(&lower, "total_size")) {
        (
            "an index of a checkpoint in several files",
            "name the folder that has them all, or the index as it is called there, model.safetensors.index.json",
        )
    } else if lower.starts_with(b"{") {
        ("a JSON text", "name the .safetensors file beside it")
    } else {
        return None;
    };
    Some(Foreign { what, advice })
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
