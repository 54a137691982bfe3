//! The program `shuffle-vit`; everything is in the library beside it.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    cli::main()
}
