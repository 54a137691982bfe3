//! What the compiler makes of the hot loops: how many instructions they have, whether accumulators stay in registers, whether the
//! wanted instructions are there. A compiler once lost 60 % on a tile whose source had not changed; no timing in a test would show
//! that reliably.
//!
//! The summary in `codegen/x86_64.txt` is that of one compiler. With the same compiler it must be the same. Another one's may
//! differ: then each kernel's widest loop must have as many multiply-adds, no more accesses to the stack, and at most a quarter
//! more instructions.
//!
//! `CODEGEN_RENEW=1 cargo test -p benches --test codegen` writes the summary anew.

#![cfg(target_arch = "x86_64")]

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// Kernels by a part of their symbols, and the loops of each that are listed: those with the most multiply-adds.
const KERNELS: [(&str, usize); 5] =
    [("PackedProduct", 8), ("4HeadE", 6), ("LayerNorm", 3), ("Softmax", 3), ("4gelu4Gelu", 1)];

/// Levels by a part of their symbols. The portable one is compiled into the function that chooses a level.
const LEVELS: [(&str, &[&str]); 3] =
    [("avx512", &["6avx5123run"]), ("avx2", &["4avx23run"]), ("portable", &["5Level3run", "5Token3run"])];

/// An inner loop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Loop {
    /// Fused multiply-adds, or multiplications where there are none.
    multiplies: usize,
    instructions: usize,
    /// Accesses to the stack: accumulators and constants that did not fit the registers.
    stack: usize,
    /// Values of the left factor that come from memory into all lanes.
    broadcasts: usize,
}

impl fmt::Display for Loop {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Loop { multiplies, instructions, stack, broadcasts } = self;
        write!(f, "{multiplies} multiplies, {instructions} instructions, {stack} on the stack, {broadcasts} broadcasts")
    }
}

/// The loops of each kernel at each level, the widest first.
type Summary = BTreeMap<String, Vec<Loop>>;

#[test]
fn hot_loops_are_compiled_as_they_were() {
    let assembly = assembly();
    let found = summary(&assembly);
    let version = rustc_version();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codegen/x86_64.txt");
    let text = print(&version, &found);
    if std::env::var_os("CODEGEN_RENEW").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    if committed.lines().next() == Some(&*version) {
        assert!(committed == text, "the hot loops differ; if that is meant, renew {}:\n{text}", path.display());
        return;
    }
    println!("compiled by {version}, compared with bounds, not exactly");
    let expected = parse(&committed);
    assert!(expected.keys().eq(found.keys()), "kernels in {} and found: {:?}", path.display(), found.keys());
    for (name, loops) in &found {
        let (is, was) = (loops[0], expected[name][0]);
        let as_good = is.multiplies >= was.multiplies
            && is.stack <= was.stack
            && is.instructions * 4 <= was.instructions * 5
            && (is.broadcasts > 0 || was.broadcasts == 0);
        assert!(as_good, "{name}: the widest loop has {is}, and had {was}");
    }
}

/// The register tile of the fastest level, by hand: so that a summary renewed without looking does not hide a loss.
#[test]
fn tiles_of_products_stay_in_registers() {
    let found = summary(&assembly());
    for (level, multiplies) in [("avx512", 24), ("avx2", 12), ("portable", 8)] {
        let widest = found[&format!("{level} PackedProduct")][0];
        assert!(widest.multiplies >= multiplies, "{level}: {widest}");
        assert_eq!(widest.stack, 0, "{level}: {widest}");
    }
}

fn rustc_version() -> String {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into())).arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

/// The assembly of the kernels as a release has them, in a folder of its own, since cargo holds the usual one's lock.
fn assembly() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let target = root.join("target/codegen");
    let arguments = ["rustc", "-q", "-p", "shuffle-vit-kernels", "--features", "std", "--release", "--lib"];
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(arguments)
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "--emit", "asm", "-C", "symbol-mangling-version=v0", "-C", "debuginfo=0"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "the kernels compile");
    let files = std::fs::read_dir(target.join("release/deps")).unwrap().map(|entry| entry.unwrap().path());
    let newest = files
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("kernels-") && name.ends_with(".s")
        })
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    std::fs::read_to_string(newest.expect("an assembly file")).unwrap()
}

fn summary(assembly: &str) -> Summary {
    let mut summary = Summary::new();
    for (symbol, body) in functions(assembly) {
        let Some((level, _)) = LEVELS.iter().find(|(_, parts)| parts.iter().any(|part| symbol.contains(part))) else {
            continue;
        };
        for (kernel, most) in KERNELS.iter().filter(|(kernel, _)| symbol.contains(kernel)) {
            let mut loops = inner_loops(&body);
            loops.retain(|l| l.multiplies > 0);
            loops.sort_unstable_by(|a, b| b.cmp(a));
            loops.dedup();
            loops.truncate(*most);
            if !loops.is_empty() {
                let name = kernel.trim_matches(|c: char| c.is_ascii_digit() || c == 'E').replace("gelu4", "");
                summary.insert(format!("{level} {name}"), loops);
            }
        }
    }
    summary
}

/// Symbols and the lines of their code.
fn functions(assembly: &str) -> Vec<(&str, Vec<&str>)> {
    let mut functions: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in assembly.lines() {
        if let Some(symbol) = line.strip_suffix(':').filter(|symbol| symbol.starts_with("_R")) {
            functions.push((symbol, Vec::new()));
        } else if let Some((_, body)) = functions.last_mut() {
            body.push(line.trim());
        }
    }
    functions
}

/// The loops of a single basic block: from a label to a jump back to it, with no other label in between. Inner loops are, but for
/// those whose body branches; jumps out of them, such as those of bounds checks, are no matter.
fn inner_loops(body: &[&str]) -> Vec<Loop> {
    let (mut label, mut loops) = (("", 0), Vec::new());
    for (i, line) in body.iter().enumerate() {
        if let Some((name, "")) = line.split_once(':') {
            label = (name, i);
        } else if line.starts_with('j') {
            // A local label of inline assembly is a number, with b for one that lies in front.
            let target = line.split_whitespace().last().unwrap_or_default();
            if target == label.0 || target.strip_suffix('b') == Some(label.0) {
                loops.push(count(&body[label.1..=i]));
            }
        }
    }
    loops
}

fn count(lines: &[&str]) -> Loop {
    let instructions: Vec<&str> =
        lines.iter().copied().filter(|line| !line.ends_with(':') && !line.starts_with(['.', '#'])).collect();
    let with = |wanted: &dyn Fn(&str) -> bool| instructions.iter().filter(|line| wanted(line)).count();
    let fused = with(&|line| line.starts_with("vfmadd") || line.starts_with("vfnmadd"));
    let products = with(&|line| line.starts_with("mulps"));
    Loop {
        multiplies: if fused > 0 { fused } else { products },
        instructions: instructions.len(),
        stack: with(&|line| line.contains("rsp")),
        broadcasts: with(&|line| {
            line.contains("{1to16}") || line.contains("{1to8}") || line.starts_with("vbroadcastss")
        }),
    }
}

fn print(version: &str, summary: &Summary) -> String {
    let mut text = format!("{version}\n");
    for (name, loops) in summary {
        text += &format!("\n{name}\n");
        loops.iter().for_each(|l| text += &format!("    {l}\n"));
    }
    text
}

/// What [`print`] printed.
fn parse(text: &str) -> Summary {
    let mut summary = Summary::new();
    let mut name = String::new();
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        let Some(line) = line.strip_prefix("    ") else {
            name = line.to_string();
            continue;
        };
        let numbers: Vec<usize> = line.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        let [multiplies, instructions, stack, broadcasts] = numbers[..] else {
            panic!("a loop in the summary: {line}")
        };
        summary.entry(name.clone()).or_default().push(Loop { multiplies, instructions, stack, broadcasts });
    }
    summary
}

#[test]
fn loops_are_found_in_assembly() {
    let body = [
        ".LBB0_1:",
        "vmovups\t(%rsp), %zmm0",
        ".LBB0_2:",
        "# a comment",
        "vfmadd231ps\t(%rax){1to16}, %zmm1, %zmm2",
        "vmovups\t%zmm1, 64(%rsp)",
        "jne\t.LBB0_2",
        "jne\t.LBB0_1",
        "2:",
        "vbroadcastss ymm3, dword ptr [rax]",
        "vfmadd231ps ymm0, ymm3, ymm1",
        "jnz 2b",
    ];
    let first = Loop { multiplies: 1, instructions: 3, stack: 1, broadcasts: 1 };
    // The outer loop is none of them.
    assert_eq!(inner_loops(&body), [first, Loop { multiplies: 1, instructions: 3, stack: 0, broadcasts: 1 }]);
    let summary = Summary::from([("avx2 Softmax".to_string(), vec![first])]);
    assert_eq!(parse(&print("rustc", &summary)), summary);
}
